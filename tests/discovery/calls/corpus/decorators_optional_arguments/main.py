def deco(f=None, *, flag=False):
    def wrap(g):
        def inner():
            return g()

        return inner

    if f is None:
        return wrap
    return wrap(f)


@deco
def one():
    pass


@deco(flag=True)
def two():
    pass


one()
two()
