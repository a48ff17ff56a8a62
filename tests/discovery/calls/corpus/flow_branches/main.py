# also: main.choose -> main.two
def one():
    pass


def two():
    pass


def choose(flag):
    if flag:
        f = one
    else:
        f = two
    f()


choose(len("a") == 1)
