# also: main.pick -> main.two
def one():
    pass


def two():
    pass


def pick(flag):
    f = one if flag else two
    f()


pick(len("abc") > 1)
