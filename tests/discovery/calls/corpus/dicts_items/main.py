def one():
    pass


def two():
    pass


for name, function in {"a": one, "b": two}.items():
    function()
for function in {"a": one}.values():
    function()
