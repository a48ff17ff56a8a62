class Item:
    def __lt__(self, other):
        return self.rank() < other.rank()

    def rank(self):
        return 1


sorted([Item(), Item()])
min(Item(), Item())
