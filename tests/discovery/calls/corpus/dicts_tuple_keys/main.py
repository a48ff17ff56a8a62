def one():
    pass


def two():
    pass


table = {("a", 1): one, ("b", 2): two}
table["a", 1]()
