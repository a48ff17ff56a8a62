# also: main.Thing.run -> main.Thing.windows
import os


class Thing:
    def unix(self):
        pass

    def windows(self):
        pass

    def run(self):
        if os.sep == "/":
            self.unix()
        else:
            self.windows()


Thing().run()
