class Thing:
    def _get(self):
        return one

    def _set(self, value):
        pass

    value = property(_get, _set)


def one():
    pass


Thing().value()
thing = Thing()
thing.value = 2
