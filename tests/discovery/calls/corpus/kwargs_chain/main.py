def target():
    pass


def inner(callback):
    callback()


def outer(**options):
    inner(**options)


outer(callback=target)
