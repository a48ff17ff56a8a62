def one():
    return two


def two():
    pass


made = [one() for _ in range(1)]
made[0]()
[f() for f in (two,)]
