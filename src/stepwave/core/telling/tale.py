"""What is known of one step while its run is told: see `retell`."""

from typing import TypeVar

from stepwave.core.events import NewStep, StepDecided, StepFinished, StepTested
from stepwave.core.model import Stage
from stepwave.core.telling.charging import Ask
from stepwave.core.telling.story import Attempt, Cause, Drawn, Wait


class Tale:
    """What is known of one step so far."""

    __slots__ = (
        "ask", "attempts", "created_s", "decision", "due_s", "end", "ended_s", "leasing", "left", "order", "ready_s",
        "since_s", "step", "stopping", "tests", "undone", "waiting", "waits",
    )  # fmt: skip

    def __init__(self, step: Drawn, ask: Ask, created_s: float) -> None:
        self.step = step
        self.ask = ask
        self.created_s = created_s
        self.ready_s: float | None = None
        self.ended_s: float | None = None
        self.end: StepFinished | None = None
        self.order = 0  # among the ends
        self.attempts: list[Attempt] = []
        self.waits: list[Wait] = []
        self.waiting = False  # it is ready
        self.leasing: tuple[Cause, str] | None = None  # what it waits for that is not the run's own
        self.due_s: float | None = None  # when its next attempt is due
        self.since_s = created_s  # up to here its time is accounted for
        self.tests: dict[str, StepTested] = {}
        self.decision: StepDecided | None = None
        self.stopping: str | None = None
        self.left: tuple[str, ...] = ()
        self.undone = False

    @property
    def is_running(self) -> bool:
        return bool(self.attempts) and self.attempts[-1].end_s is None

    def last_wait(self) -> Wait | None:
        """What it waited for up to the moment up to which it is accounted for."""
        last = self.waits[-1] if self.waits else None
        since_s = (self.attempts[-1].end_s or 0.0) if self.attempts else 0.0
        return last if last and last.end_s == self.since_s and last.begin_s >= since_s else None

    def wait(self, until: float, cause: Cause, name: str = "") -> None:
        """It has waited for this since the end of what it waited for before."""
        if until > self.since_s:
            self.waits.append(Wait(self.since_s, until, cause, name))
            self.since_s = until


def end_of(tale: Tale) -> tuple[float, bool, int]:
    """Of those that ended at one moment, one that ran is what the others waited for, too."""
    return tale.ended_s or 0.0, bool(tale.attempts), tale.order


K = TypeVar("K")


def note_last(last: dict[K, Tale], key: K, tale: Tale) -> None:
    if key not in last or end_of(last[key]) < end_of(tale):
        last[key] = tale


def ask_of(step: Drawn, *, limits: bool) -> Ask:
    return Ask(step.resources, step.exclusive, step.wave if limits else None, step.max_concurrency)


def added(new: NewStep, above: Drawn | None) -> Drawn:
    """A step that was not in the file stands where the step stands that it came from; a part of it is like it."""
    step = Drawn(new.id, new.name, new.wave, new.needs, new.resources, new.stage, after=new.after)
    if above is None:
        return step
    step = step._replace(file=above.file, line=above.line)
    is_part = new.stage is not Stage.ROLLBACK
    return step._replace(exclusive=above.exclusive, max_concurrency=above.max_concurrency) if is_part else step
