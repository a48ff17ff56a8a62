def standard():
    pass


def other():
    pass


def apply(function=standard):
    function()


apply()
apply(other)
