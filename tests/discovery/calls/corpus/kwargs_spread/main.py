def one():
    pass


def two():
    pass


def take(a, b):
    b()


take(**{"a": one, "b": two})
