def one():
    pass


def two():
    pass


def apply(function):
    return function


apply(one)()
apply(two)
