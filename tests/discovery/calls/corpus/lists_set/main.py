def one():
    pass


for f in {one}:
    f()
