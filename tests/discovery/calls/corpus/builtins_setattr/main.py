class Thing:
    pass


def run():
    pass


thing = Thing()
setattr(thing, "go", run)
thing.go()
