def one():
    pass


def two():
    pass


for index, f in enumerate([one]):
    f()
for f, g in zip([one], [two]):
    g()
