class A:
    def __enter__(self):
        return self

    def __exit__(self, *details):
        pass

    def __getitem__(self, key):
        return one


class B(A):
    def __enter__(self):
        return super().__enter__()

    def __getitem__(self, key):
        return super().__getitem__(key)


def one():
    pass


with B() as b:
    b["x"]()
