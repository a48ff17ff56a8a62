class Number:
    def __int__(self):
        return 1

    def __float__(self):
        return 1.0

    def __abs__(self):
        return self

    def __round__(self, digits=None):
        return 1

    def __index__(self):
        return 1


n = Number()
int(n)
float(n)
abs(n)
round(n)
hex(n)
