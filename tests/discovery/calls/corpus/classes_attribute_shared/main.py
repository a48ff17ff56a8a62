class Registry:
    items = []

    def add(self, f):
        self.items.append(f)


def one():
    pass


Registry().add(one)
for f in Registry.items:
    f()
