def source():
    yield one
    yield two


def one():
    pass


def two():
    pass


for f in source():
    f()
