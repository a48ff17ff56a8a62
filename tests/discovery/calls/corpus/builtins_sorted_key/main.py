def key(value):
    return value


sorted([2, 1], key=key)
[3, 1].sort(key=key)
