def one():
    pass


def two():
    pass


table = {"a": one}
table["a"] = two
table["a"]()
