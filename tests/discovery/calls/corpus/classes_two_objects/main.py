class Thing:
    def __init__(self, f):
        self.f = f


def one():
    pass


def two():
    pass


a = Thing(one)
b = Thing(two)
b.f()
