def one():
    pass


def two():
    pass


functions = [one]
functions += [two]
functions[1]()
