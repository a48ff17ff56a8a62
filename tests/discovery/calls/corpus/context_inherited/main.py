class Base:
    def __enter__(self):
        return self

    def __exit__(self, *details):
        self.close()

    def close(self):
        pass


class Real(Base):
    def close(self):
        pass


with Real():
    pass
