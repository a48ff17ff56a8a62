def one():
    pass


def two():
    pass


stack = [one]
stack.append(two)
while stack:
    stack.pop()()
