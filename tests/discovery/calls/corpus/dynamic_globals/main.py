def one():
    pass


globals()["one"]()
