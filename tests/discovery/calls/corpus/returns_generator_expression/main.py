def make():
    return (f for f in [one])


def one():
    pass


for f in make():
    f()
