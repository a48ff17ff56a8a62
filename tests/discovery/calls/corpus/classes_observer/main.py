class Subject:
    def __init__(self):
        self._observers = {}

    def on(self, name, f):
        self._observers.setdefault(name, []).append(f)

    def fire(self, name):
        for f in self._observers.get(name, []):
            f()


def one():
    pass


def two():
    pass


subject = Subject()
subject.on("a", one)
subject.on("b", two)
subject.fire("a")
