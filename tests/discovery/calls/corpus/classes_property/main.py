class Thing:
    @property
    def value(self):
        return helper()

    @value.setter
    def value(self, new):
        store()

    @value.deleter
    def value(self):
        drop()


def helper():
    pass


def store():
    pass


def drop():
    pass


thing = Thing()
thing.value
thing.value = 1
del thing.value
