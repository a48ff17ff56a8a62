class Thing:
    def run(self):
        pass

    def stop(self):
        pass


thing = Thing()
getattr(thing, "run")()
name = "st" + "op"
getattr(thing, name)()
