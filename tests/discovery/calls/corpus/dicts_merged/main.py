def one():
    pass


def two():
    pass


first = {"f": one}
second = {**first, "g": two}
second["f"]()
(first | second)["g"]()
