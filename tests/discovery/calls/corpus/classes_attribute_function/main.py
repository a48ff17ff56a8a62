def one(self):
    pass


class Thing:
    run = one


Thing().run()
