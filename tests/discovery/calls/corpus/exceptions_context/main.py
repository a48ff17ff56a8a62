class Broken(Exception):
    def __init__(self, inner):
        self.inner = inner

    def show(self):
        pass


def work():
    try:
        int("x")
    except ValueError as problem:
        raise Broken(problem) from problem


try:
    work()
except (Broken, OSError) as problem:
    problem.show()
