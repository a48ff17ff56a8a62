def one():
    pass


def two():
    pass


f = one
if len("a"):
    f = two
else:
    f = two
f()
