def fine():
    pass


def then():
    pass


try:
    fine()
except ValueError:
    pass
else:
    then()
