class Thing:
    __slots__ = ("f",)

    def __init__(self, f):
        self.f = f


def one():
    pass


Thing(one).f()
