def one():
    pass


def two():
    pass


current = one


def change():
    global current
    current = two


change()
current()
