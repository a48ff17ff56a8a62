from ..base import ground


def work():
    ground()
