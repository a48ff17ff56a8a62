# also: main -> main.one
def make(flag):
    if flag:
        return one
    return two


def one():
    pass


def two():
    pass


make(len("") > 0)()
