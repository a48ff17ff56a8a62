def one():
    pass


def two():
    pass


a, b = one, two
b()
a, b = b, a
b()
