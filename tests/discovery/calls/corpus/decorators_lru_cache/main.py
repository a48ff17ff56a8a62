from functools import cache, cached_property, lru_cache


@lru_cache(maxsize=None)
def slow():
    pass


@cache
def slower():
    pass


class Thing:
    @cached_property
    def value(self):
        return one


def one():
    pass


slow()
slower()
Thing().value()
