def make(f):
    def inner():
        f()

    return inner


def one():
    pass


def two():
    pass


a = make(one)
b = make(two)
a()
b()
