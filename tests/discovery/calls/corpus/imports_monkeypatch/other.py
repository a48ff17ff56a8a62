def helper():
    pass


def work():
    helper()
