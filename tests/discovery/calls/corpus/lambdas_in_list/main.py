def one():
    pass


table = [lambda: one(), lambda: None]
table[1]()
