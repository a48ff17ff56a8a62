class A:
    pass


class B:
    pass


def for_a():
    pass


def for_b():
    pass


table = {A: for_a, B: for_b}
table[type(B())]()
