def each(value):
    return value


list(map(each, [1, 2]))
