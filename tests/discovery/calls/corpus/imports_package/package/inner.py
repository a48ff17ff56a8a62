from . import sibling


def work():
    sibling.help_()
