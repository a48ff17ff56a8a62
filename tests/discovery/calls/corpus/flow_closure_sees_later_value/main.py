def make():
    def call():
        f()

    f = one
    call()
    f = two
    return call


def one():
    pass


def two():
    pass


make()()
