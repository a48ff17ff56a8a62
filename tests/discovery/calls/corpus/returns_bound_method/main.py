class Thing:
    def run(self):
        pass

    def handler(self):
        return self.run


Thing().handler()()
