class Thing:
    def __new__(cls):
        made = super().__new__(cls)
        made.prepare()
        return made

    def __init__(self):
        pass

    def prepare(self):
        pass


Thing()
