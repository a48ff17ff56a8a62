from enum import Enum


class Color(Enum):
    RED = 1
    BLUE = 2

    def show(self):
        pass

    @classmethod
    def first(cls):
        return cls.RED


Color.RED.show()
Color.first().show()
for color in Color:
    color.show()
