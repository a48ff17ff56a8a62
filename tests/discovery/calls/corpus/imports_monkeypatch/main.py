import other


def mine():
    pass


other.helper = mine
other.work()
