def one():
    pass


def two():
    pass


functions = [one, two]
functions.pop()()
