def compute():
    return 1


class Thing:
    value = compute()

    def _make(f):
        return f

    @_make
    def run(self):
        pass


Thing().run()
