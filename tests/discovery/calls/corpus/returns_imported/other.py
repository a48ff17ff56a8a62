def make():
    return inner


def inner():
    pass
