def deco(f):
    def inner(*args):
        return f(*args)

    return inner


class Thing:
    @staticmethod
    @deco
    def plain(x):
        pass

    @classmethod
    @deco
    def make(cls):
        return cls()


Thing.plain(1)
Thing.make()
