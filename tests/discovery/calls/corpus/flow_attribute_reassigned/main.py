class Box:
    def __init__(self, f):
        self.f = f


def one():
    pass


def two():
    pass


box = Box(one)
box.f = two
box.f()
other = box
other.f = one
box.f()
