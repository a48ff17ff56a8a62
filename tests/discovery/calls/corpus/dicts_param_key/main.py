def one():
    pass


def two():
    pass


def call(table, key):
    table[key]()


call({"a": one, "b": two}, "b")
