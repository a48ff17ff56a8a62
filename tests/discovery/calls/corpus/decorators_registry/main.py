handlers = {}


def on(name):
    def deco(function):
        handlers[name] = function
        return function

    return deco


@on("start")
def start():
    pass


@on("stop")
def stop():
    pass


handlers["stop"]()
