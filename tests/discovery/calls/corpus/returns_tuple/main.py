def make():
    return one, two


def one():
    pass


def two():
    pass


f, g = make()
g()
