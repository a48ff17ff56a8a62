class Base:
    def run(self):
        self.step()

    def step(self):
        pass


class Real(Base):
    def step(self):
        pass


Real().run()
