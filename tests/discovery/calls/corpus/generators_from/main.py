def inner():
    yield one
    return two


def outer():
    last = yield from inner()
    last()


def one():
    pass


def two():
    pass


for f in outer():
    f()
