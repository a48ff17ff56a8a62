def make():
    return one


def one():
    pass


make()()
