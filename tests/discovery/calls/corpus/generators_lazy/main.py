def one():
    pass


def two():
    pass


def source():
    current()
    yield


current = one
g = source()
current = two
next(g)
