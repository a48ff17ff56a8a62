class First:
    def __enter__(self):
        return one

    def __exit__(self, kind, value, trace):
        pass


class Second:
    def __enter__(self):
        return two

    def __exit__(self, kind, value, trace):
        helper()


def one():
    pass


def two():
    pass


def helper():
    pass


with First() as f, Second() as g:
    g()
    f()
