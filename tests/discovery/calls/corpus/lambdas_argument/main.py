def apply(f):
    f()


def one():
    pass


apply(lambda: one())
