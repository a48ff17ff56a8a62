from contextlib import contextmanager


@contextmanager
def opened(name):
    before()
    try:
        yield one
    finally:
        after()


def before():
    pass


def after():
    pass


def one():
    pass


with opened("x") as f:
    f()
