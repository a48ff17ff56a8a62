def one():
    pass


def two():
    pass


f = (lambda: one()) if len("a") else (lambda: two())
f()
# also: main -> main.<lambda2>
# also: main.<lambda2> -> main.two
