def last():
    pass


def middle(function):
    function()


def first(function, inner):
    function(inner)


first(middle, last)
