from contextlib import contextmanager


@contextmanager
def outer():
    with inner() as f:
        yield f


@contextmanager
def inner():
    yield one


def one():
    pass


with outer() as f:
    f()
