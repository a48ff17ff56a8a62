def one():
    return 1


def each(value):
    return value


print(sum(each(one()) for _ in [1]))
