"""How busy the machine is, and how much memory it has left: a launcher before another one, which answers `Measure`."""

import os
from contextlib import suppress

from stepwave.core.events import Measure, Measured, Order
from stepwave.engine import Inbox, Launcher
from stepwave.machine import available_bytes


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
    return Measured(_load(), available_bytes() or 0)


def _load() -> float:
    with suppress(AttributeError, OSError):
        return os.getloadavg()[0]
    return 0.0
