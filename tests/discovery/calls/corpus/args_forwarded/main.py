def target(f, g):
    g()


def forward(*args, **words):
    return target(*args, **words)


def one():
    pass


def two():
    pass


forward(one, g=two)
