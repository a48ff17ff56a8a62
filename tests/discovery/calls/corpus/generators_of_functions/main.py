def each():
    for f in [one, two]:
        yield f


def one():
    pass


def two():
    pass


[f() for f in each()]
list(map(lambda f: f(), each()))
