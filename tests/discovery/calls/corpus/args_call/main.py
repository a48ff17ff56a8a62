def called():
    pass


def apply(function):
    function()


apply(called)
