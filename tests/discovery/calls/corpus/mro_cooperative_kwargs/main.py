class Root:
    def __init__(self, **words):
        pass


class A(Root):
    def __init__(self, a=None, **words):
        super().__init__(**words)


class B(Root):
    def __init__(self, f=None, **words):
        f()
        super().__init__(**words)


class C(A, B):
    def __init__(self, **words):
        super().__init__(**words)


def one():
    pass


C(a=1, f=one)
