def helper():
    pass


def work():
    def helper():
        pass

    helper()


work()
helper()
