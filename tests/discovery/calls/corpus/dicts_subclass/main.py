class Table(dict):
    def __missing__(self, key):
        return fallback


def fallback():
    pass


def one():
    pass


table = Table(a=one)
table["a"]()
table["b"]()
