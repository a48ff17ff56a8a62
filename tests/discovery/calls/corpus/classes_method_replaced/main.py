class Thing:
    def run(self):
        pass


def other(self):
    pass


Thing.run = other
Thing().run()
