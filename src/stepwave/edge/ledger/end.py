"""Ending a run from outside: the signal that Ctrl-C would be, to the process that is certainly the right one."""

import os
import select
import signal
from collections.abc import Callable

from stepwave.edge.ledger.lock import is_held
from stepwave.edge.ledger.view import RunView


class Handle:
    """The process that runs a run. `send` and `wait` mean this very process, even when its number is used again."""

    def __init__(self, pid: int, fd: int | None) -> None:
        self._pid = pid
        self._fd = fd

    def send(self, number: signal.Signals) -> None:
        """A process that has ended in the meantime is left in peace. Raises PermissionError."""
        try:
            if self._fd is not None:
                signal.pidfd_send_signal(self._fd, number)
            else:
                os.kill(self._pid, number)
        except ProcessLookupError:
            return

    def wait(self, is_over: Callable[[], bool]) -> None:
        """Until the process has ended; where the system has no descriptors for processes, until `is_over` says so."""
        if self._fd is not None:
            poll = select.poll()
            poll.register(self._fd, select.POLLIN)
            poll.poll()
            return
        while not is_over():
            select.select([], [], [], 0.1)

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)


def grasp(seen: RunView) -> Handle | None:
    """A handle of a living run; None when it has ended.

    Whoever holds the lock of the run *after* the process was opened by its number is that process.
    """
    fd = None
    if hasattr(os, "pidfd_open"):
        try:
            fd = os.pidfd_open(seen.run.pid)
        except OSError:
            return None
    if not is_held(seen.folder):
        if fd is not None:
            os.close(fd)
        return None
    return Handle(seen.run.pid, fd)
