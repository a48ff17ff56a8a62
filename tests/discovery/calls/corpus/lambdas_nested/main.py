def one():
    pass


f = lambda: lambda: one()
f()()
