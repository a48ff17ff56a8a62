def one():
    pass


functions = [lambda f=f: f() for f in [one]]
functions[0]()
