class Machine:
    def __init__(self):
        self.state = self.start

    def start(self):
        self.state = self.middle

    def middle(self):
        self.state = self.end

    def end(self):
        pass

    def step(self):
        self.state()


m = Machine()
m.step()
m.step()
m.step()
