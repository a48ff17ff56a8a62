def one():
    pass


def two():
    pass


current = one
