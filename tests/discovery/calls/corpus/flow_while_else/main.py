def body():
    pass


def end():
    pass


n = 0
while n < 2:
    body()
    n += 1
else:
    end()
