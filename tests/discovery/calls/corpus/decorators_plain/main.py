def deco(function):
    def inner():
        return function()

    return inner


@deco
def work():
    pass


work()
