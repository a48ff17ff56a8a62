def one():
    pass


def two():
    pass


def pick(name):
    return {"a": one, "b": two}[name]


for letter in "ab":
    pick(letter)()
