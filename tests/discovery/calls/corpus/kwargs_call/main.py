def one():
    pass


def two():
    pass


def take(first, second):
    first()
    second()


take(second=one, first=two)
