def work():
    early()


def early():
    pass


def late():
    pass


work()


def work():
    late()


work()
