def one():
    pass


def two():
    pass


functions = []
functions.append(one)
functions.append(two)
functions[1]()
