"""How fast steps are started: the gap between starts, memory, and a width that follows how busy the machine is."""

from typing import TYPE_CHECKING

from stepwave.core.events import Measure, Measured, WidthChanged
from stepwave.core.model import Workflow
from stepwave.core.running.alarms import Due
from stepwave.core.running.books import Books

if TYPE_CHECKING:
    from stepwave.core.running.room import Room

MEASURE_S = 2.0
"""Seconds between two looks at how busy the machine is."""


class Pace:
    """`cpus` are those of this machine. `measured` is what it has before the run, where its memory is minded."""

    def __init__(self, books: Books, workflow: Workflow, cpus: int, measured: Measured | None = None) -> None:
        self._books = books
        self._gap_s = workflow.rate_limit_s
        self._adaptive = workflow.adaptive
        self._min_free = workflow.min_free_bytes or 0
        self._cpus = cpus
        self._most = books.admission.capacity
        self._width = 0
        self._gap_alarm = False
        self._measured = measured
        self._room: Room | None = None

    def begin(self) -> None:
        if self._measured is not None:
            from stepwave.core.running.room import Room

            self._room = Room(self._books, self._measured)
        if self._adaptive:
            self._books.admission.capacity = 1  # until the answer has come
            self.measure(Due.MEASURE)

    def measure(self, due: Due) -> None:
        """An alarm says that it is time to."""
        if due is Due.MEMORY:
            if self._room is not None:
                self._room.look_again()
            return
        if self._room is not None:
            self._room.ask()
        else:
            self._books.orders.append(Measure())
        self._books.alarms.set(self._books.now + MEASURE_S, Due.MEASURE)

    def adapt(self, measured: Measured) -> None:
        if self._room is not None:
            self._room.heed(measured)
        if not self._adaptive:
            return
        from stepwave.core.running.adapt import width
        from stepwave.core.running.needs import PER_STEP_BYTES

        admission = self._books.admission
        running = len(admission.running)
        left = measured.available_bytes - self._min_free
        usual = self._room.usual_bytes if self._room is not None else PER_STEP_BYTES
        now, reason = width(self._most, self._cpus, measured.load, left, running, self._width, usual)
        if now != (self._width or self._most):
            self._books.events.append(WidthChanged(now, reason))
        self._width = admission.capacity = now

    # --- between two starts ---------------------------------------------------------------------------

    def holds_back(self) -> bool:
        """True while the gap of `rate_limit_delay` since the last start is not over, which an alarm ends; or while
        it is not known how much memory there is, which is answered at once."""
        books = self._books
        if self._room is not None and self._room.waits_for_answer():
            return True
        if not self._gap_s or books.last_start is None or books.now >= books.last_start + self._gap_s:
            return False
        if not self._gap_alarm:
            self._gap_alarm = True
            books.alarms.set(books.last_start + self._gap_s, Due.GAP)
        return True

    def gap_is_over(self) -> None:
        self._gap_alarm = False

    def check_start(self, id: str) -> None:
        """The step has been let in."""
        if self._room is not None:
            self._room.check_start(id)

    def look(self) -> None:
        """All that could start has started."""
        if self._room is not None:
            self._room.look(on_a_timer=not self._adaptive)  # which has a timer of its own
