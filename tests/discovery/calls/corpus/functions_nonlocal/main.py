def make():
    current = None

    def set_it(f):
        nonlocal current
        current = f

    def call():
        current()

    return set_it, call


def one():
    pass


set_it, call = make()
set_it(one)
call()
