from functools import wraps


def deco(function):
    @wraps(function)
    def inner(*args, **words):
        return function(*args, **words)

    return inner


@deco
def work():
    pass


work()
work.__wrapped__()
