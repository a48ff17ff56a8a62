def one():
    pass


f = lambda: one()
f()
