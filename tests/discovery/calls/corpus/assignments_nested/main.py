def one():
    pass


def two():
    pass


def three():
    pass


a, (b, c) = one, (two, three)
c()
b()
