class Lazy:
    def __getattr__(self, name):
        def call(*args):
            return handle(name)

        return call


def handle(name):
    pass


Lazy().anything(1)
