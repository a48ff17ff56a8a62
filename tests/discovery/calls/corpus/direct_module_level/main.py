def one():
    two()


def two():
    three()


def three():
    pass


one()
