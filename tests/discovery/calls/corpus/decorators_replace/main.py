def other():
    pass


def swap(function):
    return other


@swap
def work():
    pass


work()
