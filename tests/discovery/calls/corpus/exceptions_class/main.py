class Broken(Exception):
    def __init__(self, f):
        super().__init__("broken")
        self.f = f

    def __str__(self):
        return "broken"


def one():
    pass


try:
    raise Broken(one)
except Broken as problem:
    problem.f()
    str(problem)
