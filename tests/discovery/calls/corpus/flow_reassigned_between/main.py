def one():
    pass


def two():
    pass


def run():
    current()


current = one
run()
current = two
