def one():
    pass


def two():
    pass


for f in reversed([one, two]):
    f()
