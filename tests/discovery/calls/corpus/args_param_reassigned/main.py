def given():
    pass


def taken():
    pass


def apply(function):
    function = taken
    function()


apply(given)
