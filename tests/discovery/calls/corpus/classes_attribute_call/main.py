class Thing:
    def __init__(self, f):
        self.f = f

    def run(self):
        self.f()


def one():
    pass


def two():
    pass


Thing(one).run()
Thing(two)
