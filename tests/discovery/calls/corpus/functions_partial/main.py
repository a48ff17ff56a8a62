from functools import partial


def work(f, g):
    g()


def one():
    pass


def two():
    pass


bound = partial(work, one)
bound(two)
partial(work, g=one)(two)
