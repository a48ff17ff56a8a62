def one():
    pass


def two():
    pass


def run(*, f=one, g=two):
    f()
    g()


run(g=one)
