class Builder:
    def first(self):
        return self

    def second(self):
        return self


Builder().first().second().first()
