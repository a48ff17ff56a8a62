"""How fast steps are started: the gap between starts, and a width that follows how busy the machine is."""

from stepwave.core.events import Measure, Measured, WidthChanged
from stepwave.core.model import Workflow
from stepwave.core.running.alarms import Due
from stepwave.core.running.books import Books

MEASURE_S = 2.0
"""Seconds between two looks at how busy the machine is."""


class Pace:
    """`cpus` are those of this machine."""

    def __init__(self, books: Books, workflow: Workflow, cpus: int) -> None:
        self._books = books
        self._gap_s = workflow.rate_limit_s
        self._adaptive = workflow.adaptive
        self._cpus = cpus
        self._most = books.admission.capacity
        self._width = 0
        self._gap_alarm = False

    def begin(self) -> None:
        if self._adaptive:
            self._books.admission.capacity = 1  # until the answer has come
            self.measure()

    def measure(self) -> None:
        self._books.orders.append(Measure())
        self._books.alarms.set(self._books.now + MEASURE_S, Due.MEASURE)

    def adapt(self, measured: Measured) -> None:
        from stepwave.core.running.adapt import width

        admission = self._books.admission
        running = len(admission.running)
        now, reason = width(self._most, self._cpus, measured.load, measured.available_bytes, running, self._width)
        if now != (self._width or self._most):
            self._books.events.append(WidthChanged(now, reason))
        self._width = admission.capacity = now

    def holds_back(self) -> bool:
        """True while the gap of `rate_limit_delay` since the last start is not over; an alarm ends it."""
        books = self._books
        if not self._gap_s or books.last_start is None or books.now >= books.last_start + self._gap_s:
            return False
        if not self._gap_alarm:
            self._gap_alarm = True
            books.alarms.set(books.last_start + self._gap_s, Due.GAP)
        return True

    def gap_is_over(self) -> None:
        self._gap_alarm = False
