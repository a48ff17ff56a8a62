class Meta(type):
    def __instancecheck__(cls, instance):
        return True


class Thing(metaclass=Meta):
    pass


isinstance(1, Thing)
