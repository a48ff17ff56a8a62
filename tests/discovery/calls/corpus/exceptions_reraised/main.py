class Broken(Exception):
    def tell(self):
        pass


def inner():
    raise Broken


def outer():
    try:
        inner()
    except Broken as problem:
        problem.tell()
        raise


try:
    outer()
except Broken:
    pass
