def run(self):
    pass


Made = type("Made", (), {"run": run})
Made().run()
