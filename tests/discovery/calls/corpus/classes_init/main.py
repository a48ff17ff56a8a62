class Thing:
    def __init__(self):
        self.prepare()

    def prepare(self):
        pass


Thing()
