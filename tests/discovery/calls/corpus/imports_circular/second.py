import first


def middle():
    first.end()
