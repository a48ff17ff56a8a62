class Key:
    def __init__(self, name):
        self.name = name

    def __eq__(self, other):
        return self.same(other)

    def same(self, other):
        return True

    def __hash__(self):
        return 1


Key("a") == Key("b")
Key("a") != Key("b")
Key("a") in [Key("b")]
