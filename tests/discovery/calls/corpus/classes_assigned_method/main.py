class Thing:
    def run(self):
        pass

    go = run


Thing().go()
bound = Thing().run
bound()
