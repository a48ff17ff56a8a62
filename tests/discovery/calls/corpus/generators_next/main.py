def source():
    yield one


def one():
    pass


next(source())()
