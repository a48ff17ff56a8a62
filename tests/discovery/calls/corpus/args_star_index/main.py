def one():
    pass


def two():
    pass


def second(*functions):
    functions[1]()


second(one, two)
