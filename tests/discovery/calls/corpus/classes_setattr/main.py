class Thing:
    def __setattr__(self, name, value):
        object.__setattr__(self, name, value)

    def __delattr__(self, name):
        pass


def one():
    pass


thing = Thing()
thing.f = one
thing.f()
del thing.f
