def keep(value):
    return True


print(list(filter(keep, [1, 2])))
