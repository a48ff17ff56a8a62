def one():
    pass


def two():
    pass


a, b = one, two
for _ in range(3):
    a, b = b, a
a()
