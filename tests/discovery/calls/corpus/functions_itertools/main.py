from itertools import chain, starmap


def one():
    pass


def two():
    pass


def both(f, g):
    g()


for f in chain([one], [two]):
    f()
list(starmap(both, [(one, two)]))
