class Number:
    def __divmod__(self, other):
        return 1, 2

    def __pow__(self, other):
        return self

    def __bytes__(self):
        return b""


divmod(Number(), 2)
Number() ** 2
bytes(Number())
