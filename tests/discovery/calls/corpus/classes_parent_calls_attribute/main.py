class Base:
    def __init__(self, f):
        self.f = f

    def run(self):
        return self.f()


class Real(Base):
    def __init__(self):
        super().__init__(self.helper)

    def helper(self):
        pass


Real().run()
