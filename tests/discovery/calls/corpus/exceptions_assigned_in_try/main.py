def one():
    pass


def two():
    pass


f = one
try:
    f = two
    int("x")
except ValueError:
    f()
