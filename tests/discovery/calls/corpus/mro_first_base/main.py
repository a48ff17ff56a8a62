class A:
    def run(self):
        pass


class B:
    def run(self):
        pass


class C(A, B):
    pass


C().run()
