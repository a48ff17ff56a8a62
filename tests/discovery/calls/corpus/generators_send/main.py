def machine():
    received = yield
    received()
    yield


def one():
    pass


m = machine()
next(m)
m.send(one)
