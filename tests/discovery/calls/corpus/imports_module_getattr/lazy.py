def __getattr__(name):
    if name == "thing":
        return real
    raise AttributeError(name)


def real():
    pass
