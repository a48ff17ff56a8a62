class Outer:
    class Inner:
        def __init__(self):
            pass

        def run(self):
            pass

    def make(self):
        return self.Inner()


Outer().make().run()
Outer.Inner()
