class lazy:
    def __init__(self, f):
        self.f = f

    def __get__(self, instance, owner):
        return self.f(instance)


class Thing:
    @lazy
    def value(self):
        return one


def one():
    pass


Thing().value()
