class Point:
    __match_args__ = ("x", "f")

    def __init__(self, x, f):
        self.x = x
        self.f = f


def one():
    pass


def two():
    pass


def look(value):
    match value:
        case Point(1, f):
            f()
        case [first, *_]:
            first()
        case {"call": g}:
            g()


look(Point(1, one))
look([two])
look({"call": one})
