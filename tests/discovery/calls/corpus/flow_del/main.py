def one():
    pass


f = one
f()
del f
f = print
f()
