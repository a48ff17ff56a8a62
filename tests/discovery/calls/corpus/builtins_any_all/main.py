class Flag:
    def __bool__(self):
        return False


any([Flag()])
