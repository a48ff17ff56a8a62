"""A stream that broke: what both displays do about it."""

import os


def silence(fd: int | None) -> None:
    """Point a broken descriptor at /dev/null: what Python still holds for it is tried again at exit."""
    if fd is None:
        return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(nowhere, fd)
        os.close(nowhere)
    except OSError:
        pass
