def found():
    pass


def missing():
    pass


for x in [1, 2]:
    if x > 5:
        found()
        break
else:
    missing()
# also: main -> main.found
