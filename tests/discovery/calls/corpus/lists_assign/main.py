def one():
    pass


def two():
    pass


functions = [one, one]
functions[0] = two
functions[0]()
