def outer(f):
    def wrapped():
        helper()
        return f

    return wrapped


def helper():
    pass


@outer
def work():
    pass


work()()
