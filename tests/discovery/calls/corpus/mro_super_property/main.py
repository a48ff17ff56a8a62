class A:
    @property
    def value(self):
        return one


class B(A):
    @property
    def value(self):
        return super().value


def one():
    pass


B().value()
