def one():
    pass


def two():
    pass


functions = [one, two]
functions[1]()
functions[-2]()
