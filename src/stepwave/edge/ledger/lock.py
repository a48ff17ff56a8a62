"""Alive or dead: whoever runs a run holds a lock on `run.lock` in its folder for as long as it lives.

flock(2): the kernel lets go of it when its last descriptor is closed, however the process ends. The descriptor is
close-on-exec, so no step and no helper process holds it.
"""

import os
from contextlib import suppress
from pathlib import Path

FILE_NAME = "run.lock"


def hold(folder: Path) -> int:
    """Take the lock of a run, for good; the descriptor that holds it.

    Raises OSError when it is taken, or where the file system knows no locks.
    """
    import fcntl

    path = folder / FILE_NAME
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        os.close(fd)
        raise OSError(problem.errno, problem.strerror, str(path)) from None
    return fd


def is_held(folder: Path) -> bool:
    """Whether the process that made this folder still lives. Without a folder or a lock file: no."""
    import fcntl

    try:
        fd = os.open(folder / FILE_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: those who look do not see each other
    except BlockingIOError:
        return True
    except OSError:
        return True  # no locks here: nobody can tell, and nothing of a living run may be deleted
    finally:
        with suppress(OSError):
            os.close(fd)
    return False
