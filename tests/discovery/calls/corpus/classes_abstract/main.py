from abc import ABC, abstractmethod


class Base(ABC):
    def run(self):
        self.step()

    @abstractmethod
    def step(self): ...


class Real(Base):
    def step(self):
        pass


Real().run()
