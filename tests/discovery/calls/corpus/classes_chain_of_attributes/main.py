class A:
    def __init__(self):
        self.b = B()


class B:
    def __init__(self):
        self.c = C()


class C:
    def run(self):
        pass


a = A()
a.b.c.run()
c = a.b.c
c.run()
