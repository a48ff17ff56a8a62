def one():
    pass


def two():
    pass


def every(*functions):
    for function in functions:
        function()


every(one, two)
