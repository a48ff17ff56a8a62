from collections import namedtuple
from typing import NamedTuple


class Pair(NamedTuple):
    left: object
    right: object

    def call(self):
        self.right()


def one():
    pass


def two():
    pass


Pair(one, two).call()
Old = namedtuple("Old", "f g")
Old(one, two).f()
first, second = Pair(two, one)
second()
