def one():
    pass


def two():
    pass


def three():
    pass


functions = [one, two, three]
functions[1:][0]()
functions[::-1][0]()
