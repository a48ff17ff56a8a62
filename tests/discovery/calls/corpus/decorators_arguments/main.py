def repeat(times):
    def deco(function):
        def inner(*args):
            return function(*args)

        return inner

    return deco


@repeat(2)
def work(value):
    pass


work(1)
