def one():
    pass


def two():
    pass


functions = [one]
functions.extend([two])
functions.insert(0, two)
functions[0]()
(functions + [one])[3]()
