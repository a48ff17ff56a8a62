class Thing:
    def run(self):
        self.step()

    def step(self):
        pass


thing = Thing()
thing.run()
