def mark(function):
    function.marked = True
    return function


@mark
def work():
    pass


work()
