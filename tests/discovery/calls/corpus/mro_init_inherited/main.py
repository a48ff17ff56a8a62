class A:
    def __init__(self):
        self.hook()

    def hook(self):
        pass


class B(A):
    def hook(self):
        super().hook()


B()
