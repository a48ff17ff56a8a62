def one():
    pass


def two():
    pass


def work():
    try:
        return one
    finally:
        two()


work()()
