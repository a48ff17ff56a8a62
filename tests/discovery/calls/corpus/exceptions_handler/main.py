def risky():
    raise ValueError


def repair():
    pass


def done():
    pass


try:
    risky()
except ValueError:
    repair()
finally:
    done()
