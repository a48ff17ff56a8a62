def one():
    pass


def two():
    pass


functions = [one, two]
for i in range(len(functions)):
    functions[i]()
