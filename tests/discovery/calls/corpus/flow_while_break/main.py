def one():
    pass


def two():
    pass


def pick():
    f = one
    while True:
        f = two
        break
    return f


pick()()
