calls = []


def make(f):
    calls.append(f)
    return f


def one():
    pass


def two():
    pass


def last():
    return calls[-1]


def take(a, b):
    last()()


take(make(one), make(two))
