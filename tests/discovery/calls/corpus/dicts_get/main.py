def one():
    pass


def other():
    pass


table = {"a": one}
table.get("a")()
table.get("b", other)()
