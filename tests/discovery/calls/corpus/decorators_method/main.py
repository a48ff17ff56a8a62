def deco(function):
    def inner(self):
        return function(self)

    return inner


class Thing:
    @deco
    def run(self):
        self.step()

    def step(self):
        pass


Thing().run()
