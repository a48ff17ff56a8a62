class Meta(type):
    def __new__(mcs, name, bases, namespace):
        return super().__new__(mcs, name, bases, namespace)

    def __init__(cls, name, bases, namespace):
        super().__init__(name, bases, namespace)

    def __call__(cls, *args):
        return super().__call__(*args)

    def create(cls):
        return cls()


class Thing(metaclass=Meta):
    def __init__(self):
        pass

    def run(self):
        pass


Thing().run()
Thing.create()
