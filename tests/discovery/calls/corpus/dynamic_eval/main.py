def one():
    return two


def two():
    pass


eval("one()")()
