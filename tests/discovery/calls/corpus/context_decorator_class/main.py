from contextlib import ContextDecorator


class timed(ContextDecorator):
    def __enter__(self):
        return self

    def __exit__(self, *details):
        pass


with timed() as t:
    pass
