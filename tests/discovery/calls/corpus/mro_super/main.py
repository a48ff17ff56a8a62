class Base:
    def run(self):
        pass


class Real(Base):
    def run(self):
        super().run()


Real().run()
