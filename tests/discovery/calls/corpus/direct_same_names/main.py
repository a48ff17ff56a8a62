def run():
    def run():
        pass

    run()


run()
