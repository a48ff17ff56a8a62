class App:
    def __init__(self):
        self.routes = {}

    def route(self, path):
        def deco(f):
            self.routes[path] = f
            return f

        return deco

    def run(self, path):
        self.routes[path]()


app = App()


@app.route("/")
def index():
    pass


@app.route("/other")
def other():
    pass


app.run("/")
