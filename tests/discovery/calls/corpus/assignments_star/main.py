def one():
    pass


def two():
    pass


def three():
    pass


first, *middle, last = one, two, three
middle[0]()
last()
