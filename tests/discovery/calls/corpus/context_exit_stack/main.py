from contextlib import ExitStack


class Lock:
    def __enter__(self):
        return one

    def __exit__(self, *details):
        pass


def one():
    pass


def last():
    pass


with ExitStack() as stack:
    stack.enter_context(Lock())()
    stack.callback(last)
