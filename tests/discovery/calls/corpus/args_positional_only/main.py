def one():
    pass


def take(function, /, *, other):
    function()
    other()


def two():
    pass


take(one, other=two)
