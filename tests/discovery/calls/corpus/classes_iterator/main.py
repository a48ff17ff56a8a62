class Count:
    def __iter__(self):
        return self

    def __next__(self):
        raise StopIteration


for _ in Count():
    pass
[x for x in Count()]
list(Count())
