class Thing:
    @staticmethod
    def plain(f):
        f()

    @classmethod
    def make(cls):
        return cls()

    def run(self):
        pass


def one():
    pass


Thing.plain(one)
Thing.make().run()
Thing().plain(one)
