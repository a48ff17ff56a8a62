def one():
    pass


def two():
    pass


table = {"a": one, "b": two}
del table["a"]
for f in table.values():
    f()
