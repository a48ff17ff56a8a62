class Proxy:
    def __init__(self, inner):
        self.inner = inner

    def __getattr__(self, name):
        return getattr(self.inner, name)


class Thing:
    def run(self):
        pass


Proxy(Thing()).run()
