class A:
    def __init__(self):
        self.a()

    def a(self):
        pass


class B(A):
    def __init__(self):
        super().__init__()


class C(B):
    def __init__(self):
        super().__init__()

    def a(self):
        pass


C()
