def read():
    return 0


for _ in iter(read, 0):
    pass
