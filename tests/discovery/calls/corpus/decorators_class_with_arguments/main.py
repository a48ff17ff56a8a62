class retry:
    def __init__(self, times):
        self.times = times

    def __call__(self, f):
        def inner(*args):
            return f(*args)

        return inner


@retry(3)
def work():
    pass


work()
