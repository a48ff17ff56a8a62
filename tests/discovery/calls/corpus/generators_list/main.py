def source():
    yield one


def one():
    pass


list(source())[0]()
(first,) = source()
first()
