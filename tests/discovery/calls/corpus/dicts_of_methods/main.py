class Machine:
    def __init__(self):
        self.table = {"go": self.go, "stop": self.stop}

    def go(self):
        pass

    def stop(self):
        pass

    def run(self, word):
        self.table[word]()


Machine().run("stop")
