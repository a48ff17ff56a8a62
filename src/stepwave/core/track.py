"""Where a step is, and which moves there are."""

from enum import Enum

from stepwave.core.events import Exited, Outcome
from stepwave.core.model import Step


class Phase(Enum):
    """Where a step is. How it ended is its `Outcome`."""

    PENDING = "pending"
    READY = "queued"
    RUNNING = "running"
    STOPPING = "stopping"
    RETRYING = "retrying"
    DONE = "done"


moves = {
    Phase.PENDING: {Phase.READY, Phase.DONE},
    Phase.READY: {Phase.RUNNING, Phase.DONE},
    Phase.RUNNING: {Phase.STOPPING, Phase.RETRYING, Phase.DONE},
    Phase.STOPPING: {Phase.RETRYING, Phase.DONE},
    Phase.RETRYING: {Phase.READY, Phase.DONE},
    Phase.DONE: set(),
}


class Track:
    """What the schedule knows of one step."""

    __slots__ = (
        "attempts", "bad_needs", "cause", "last", "passes", "phase", "queued_at", "queued_s", "self_deciding",
        "started_at", "step", "waiting",
    )  # fmt: skip

    def __init__(self, step: Step, waiting: int, self_deciding: bool) -> None:
        self.step = step
        self.waiting = waiting  # needs that are not done
        # Its condition asks about success or failure, so a failure before it does not skip it unasked.
        self.self_deciding = self_deciding
        self.phase = Phase.PENDING
        self.bad_needs: list[str] = []
        self.attempts = 0
        self.queued_at = self.queued_s = self.started_at = 0.0
        self.cause: tuple[Outcome, str] | None = None  # why it was ordered to stop
        self.last: Exited | None = None
        self.passes = False  # done, and good enough for those who need it

    def move(self, to: Phase) -> None:
        """Raises ValueError for a move that does not exist: a fault of the schedule, never of a file."""
        if to not in moves[self.phase]:
            raise ValueError(f"{self.step.id}: {self.phase.value} -> {to.value}")
        self.phase = to
