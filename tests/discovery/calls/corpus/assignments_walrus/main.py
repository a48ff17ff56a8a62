def one():
    pass


if chosen := one:
    chosen()
