class Field:
    def __set_name__(self, owner, name):
        pass

    def __get__(self, instance, owner):
        return one

    def __set__(self, instance, value):
        pass


def one():
    pass


class Thing:
    field = Field()


thing = Thing()
thing.field()
thing.field = 1
