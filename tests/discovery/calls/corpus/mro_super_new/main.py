class Base:
    def __new__(cls, *args):
        return object.__new__(cls)


class Real(Base):
    def __new__(cls, *args):
        return super().__new__(cls, *args)

    def __init__(self, f):
        f()


def one():
    pass


Real(one)
