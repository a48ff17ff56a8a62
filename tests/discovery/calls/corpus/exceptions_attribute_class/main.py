class Errors:
    class Broken(Exception):
        def __init__(self, text):
            super().__init__(text)


def fail():
    raise Errors.Broken("x")


try:
    fail()
except Errors.Broken:
    pass
