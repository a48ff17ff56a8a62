from functools import singledispatch


@singledispatch
def show(value):
    pass


@show.register(int)
def show_int(value):
    pass


@show.register
def show_list(value: list):
    pass


show("a")
show(1)
show([])
