def inner():
    yield
    return one


def outer():
    f = yield from inner()
    f()


def one():
    pass


for _ in outer():
    pass
