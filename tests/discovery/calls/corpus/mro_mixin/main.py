class Mixin:
    def run(self):
        self.hook()


class Real(Mixin):
    def hook(self):
        pass


Real().run()
