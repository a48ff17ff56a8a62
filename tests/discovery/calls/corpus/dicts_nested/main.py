def one():
    pass


def two():
    pass


table = {"x": {"f": one, "g": two}}
table["x"]["g"]()
