def down(n):
    if n:
        down(n - 1)
    else:
        end()


def end():
    pass


down(2)
