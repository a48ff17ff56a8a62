class A:
    @classmethod
    def make(cls):
        return cls()

    def run(self):
        pass


class B(A):
    @classmethod
    def make(cls):
        return super().make()

    def run(self):
        pass


B.make().run()
