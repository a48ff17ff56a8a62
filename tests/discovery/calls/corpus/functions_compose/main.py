def compose(*functions):
    def composed(value):
        for f in functions:
            value = f(value)
        return value

    return composed


def one(value):
    return value


def two(value):
    return value


compose(one, two)(1)
