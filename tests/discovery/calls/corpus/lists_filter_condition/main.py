def one():
    pass


def test(f):
    return True


[f() for f in [one] if test(f)]
