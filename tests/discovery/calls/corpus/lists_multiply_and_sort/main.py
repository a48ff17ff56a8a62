def one():
    pass


functions = [one] * 2
functions[1]()
functions.sort(key=lambda f: 1)
functions[0]()
