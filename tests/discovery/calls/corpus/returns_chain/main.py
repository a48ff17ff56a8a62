def one():
    pass


def first():
    return second()


def second():
    return one


first()()
