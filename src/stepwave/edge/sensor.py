"""How busy the machine is, and how much memory it has left: a launcher before another one, which answers `Measure`.

On Linux the two files are read that psutil would read: importing it takes longer than most answers are good for.
"""

import os
from contextlib import suppress
from pathlib import Path

from stepwave.core.events import Measure, Measured, Order
from stepwave.engine import Inbox, Launcher
from stepwave.machine import memory_left


class Sensing:
    """Answers `Measure` through the inbox at once; every other order is passed on to `launcher`."""

    def __init__(self, launcher: Launcher, inbox: Inbox) -> None:
        self._launcher = launcher
        self._inbox = inbox

    def obey(self, order: Order) -> None:
        if isinstance(order, Measure):
            measured = measure()
            if measured.available_bytes < order.ample_bytes:
                weigh = getattr(self._launcher, "weigh", None)
                measured = measured._replace(used_bytes=weigh() if weigh else None)
            self._inbox.put(measured)
        else:
            self._launcher.obey(order)

    def close(self) -> None:
        self._launcher.close()


def measure() -> Measured:
    """The load average of the last minute (0 where there is none), and the bytes that new processes may still take."""
    available, left = _available(), memory_left()
    return Measured(_load(), available if left is None else min(available, left))


def _load() -> float:
    with suppress(AttributeError, OSError):
        return os.getloadavg()[0]
    return 0.0


def _available() -> int:
    with suppress(OSError, ValueError, KeyError):
        rows = (line.split() for line in Path("/proc/meminfo").read_text("ascii").splitlines())
        kilobytes = {row[0]: int(row[1]) for row in rows if len(row) > 1}
        return min(kilobytes["MemAvailable:"], kilobytes["MemTotal:"]) * 1024  # in a container it may be the host's
    import psutil

    available: int = psutil.virtual_memory().available
    return available
