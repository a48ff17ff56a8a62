class Thing:
    def __init__(self):
        pass

    def run(self):
        pass


thing = Thing()
type(thing)().run()
