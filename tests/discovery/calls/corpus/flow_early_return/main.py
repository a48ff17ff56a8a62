def one():
    pass


def two():
    pass


class Box:
    pass


def fill(box, flag):
    box.f = one
    if flag:
        return
    box.f = two


box = Box()
fill(box, True)
box.f()
fill(box, False)
box.f()
