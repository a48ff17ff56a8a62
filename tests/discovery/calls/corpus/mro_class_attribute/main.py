class A:
    kind = None

    def make(self):
        return self.kind()


class Made:
    def __init__(self):
        pass


class B(A):
    kind = Made


B().make()
