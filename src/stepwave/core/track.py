"""Where a step is, and which moves there are."""

from dataclasses import dataclass, field
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


@dataclass(slots=True)
class Track:
    """What the schedule knows of one step."""

    step: Step
    waiting: int
    """Needs that are not done."""
    self_deciding: bool
    """Its condition asks about success or failure, so a failure before it does not skip it unasked."""
    phase: Phase = Phase.PENDING
    bad_needs: list[str] = field(default_factory=list)
    attempts: int = 0
    queued_at: float = 0.0
    queued_s: float = 0.0
    started_at: float = 0.0
    cause: tuple[Outcome, str] | None = None
    last: Exited | None = None
    passes: bool = False
    """Done, and good enough for those who need it."""

    def move(self, to: Phase) -> None:
        """Raises ValueError for a move that does not exist: a fault of the schedule, never of a file."""
        if to not in moves[self.phase]:
            raise ValueError(f"{self.step.id}: {self.phase.value} -> {to.value}")
        self.phase = to
