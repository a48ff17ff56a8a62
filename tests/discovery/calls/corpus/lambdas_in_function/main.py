def make():
    def helper():
        pass

    return lambda: helper()


make()()
