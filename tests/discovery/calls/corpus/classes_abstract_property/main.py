class Base:
    @property
    def name(self):
        raise NotImplementedError

    def show(self):
        return self.name


class Real(Base):
    @property
    def name(self):
        return helper()


def helper():
    pass


Real().show()
