class Adder:
    def __call__(self, f):
        f()


def one():
    pass


add = Adder()
add(one)
