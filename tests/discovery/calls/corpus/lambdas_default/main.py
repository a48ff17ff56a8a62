def one():
    pass


f = lambda g=one: g()
f()
