from base import Plugin


class A(Plugin):
    def run(self):
        pass


class B(Plugin):
    def run(self):
        pass
