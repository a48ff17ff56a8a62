def one():
    pass


table = {"a": one}
table.pop("a")()
table.setdefault("b", one)()
