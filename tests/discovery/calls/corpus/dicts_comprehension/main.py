def one():
    pass


table = {name: function for name, function in [("a", one)]}
table["a"]()
