"""What falls due when: one heap of moments."""

from enum import Enum
from heapq import heappop, heappush
from typing import NamedTuple


class Due(Enum):
    """What an alarm is for."""

    TIMEOUT = "the step has run for as long as it may"
    FORCE = "the grace period of a stop is over"
    RETRY = "the next attempt may begin"
    MEASURE = "it is time to look how busy the machine is"
    MEMORY = "some steps wait for memory: it is time to look whether there is more"
    LEASE = "it is time to ask again for what is not the run's own"
    GAP = "the next step may start"
    DEADLINE = "the run has lasted for as long as it may"


class Alarm(NamedTuple):
    """Sorts by time, then by when it was set. `step` and `turn` (see `Books`) are empty for what concerns the run."""

    at: float
    order: int
    due: Due
    step: str
    turn: int


class Alarms:
    """Alarms are never taken back: a late one finds that its step has moved on."""

    def __init__(self) -> None:
        self._heap: list[Alarm] = []
        self._count = 0

    def set(self, at: float, due: Due, step: str = "", turn: int = 0) -> None:
        self._count += 1
        heappush(self._heap, Alarm(at, self._count, due, step, turn))

    @property
    def first(self) -> Alarm | None:
        return self._heap[0] if self._heap else None

    def drop(self) -> None:
        """Take the first one away."""
        heappop(self._heap)
