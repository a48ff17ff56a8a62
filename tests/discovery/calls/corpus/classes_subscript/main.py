class Table:
    def __getitem__(self, key):
        return one

    def __setitem__(self, key, value):
        pass

    def __delitem__(self, key):
        pass


def one():
    pass


table = Table()
table["a"]()
table["b"] = 1
del table["c"]
