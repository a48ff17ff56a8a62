def one():
    pass


def two():
    pass


def take(first, second):
    second()


pair = [one, two]
take(*pair)
