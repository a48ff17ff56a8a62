def make():
    class Local:
        def __init__(self, f):
            f()

    return Local


def one():
    pass


make()(one)
