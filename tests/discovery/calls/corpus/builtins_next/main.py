def one():
    pass


def two():
    pass


it = iter([one, two])
next(it)()
