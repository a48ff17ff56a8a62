from operator import attrgetter, itemgetter, methodcaller


class Thing:
    def __init__(self, f):
        self.f = f

    def run(self):
        pass


def one():
    pass


attrgetter("f")(Thing(one))()
itemgetter(0)([one])()
methodcaller("run")(Thing(one))
