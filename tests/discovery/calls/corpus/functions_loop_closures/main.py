def one():
    pass


def two():
    pass


calls = []
for f in (one, two):

    def call(f=f):
        f()

    calls.append(call)
calls[0]()
