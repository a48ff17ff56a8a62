def one():
    pass


def two():
    pass


def take(**functions):
    functions["b"]()


take(a=one, b=two)
