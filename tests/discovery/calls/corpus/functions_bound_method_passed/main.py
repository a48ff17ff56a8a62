class Thing:
    def run(self):
        self.step()

    def step(self):
        pass


def call(f):
    f()


call(Thing().run)
