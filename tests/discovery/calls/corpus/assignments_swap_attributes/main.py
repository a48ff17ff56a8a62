class Box:
    pass


def one():
    pass


def two():
    pass


box = Box()
box.a, box.b = one, two
box.a, box.b = box.b, box.a
box.a()
