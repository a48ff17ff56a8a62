def one():
    pass


def two():
    pass


f = one
for _ in range(2):
    f()
    f = two
