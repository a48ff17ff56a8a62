class Item:
    def rank(self):
        return 1


sorted([Item()], key=lambda item: item.rank())
max([Item()], key=lambda item: item.rank())
