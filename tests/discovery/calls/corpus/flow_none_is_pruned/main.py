def standard():
    pass


def given():
    pass


def run(callback=None):
    if callback is None:
        callback = standard
    callback()


run(given)
