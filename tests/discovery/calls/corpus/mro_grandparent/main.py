class A:
    def run(self):
        pass


class B(A):
    pass


class C(B):
    def run(self):
        super().run()
        super(B, self).run()


C().run()
