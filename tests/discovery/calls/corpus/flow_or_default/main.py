def standard():
    pass


def run(callback=None):
    callback = callback or standard
    callback()


run()
