def one():
    pass


def two():
    pass


first = lambda g: g()
second = lambda: two()
first(second)
first(lambda: one())
