class Thing:
    def __init__(self):
        self.f = one


def one():
    pass


vars(Thing())["f"]()
Thing().__dict__["f"]()
