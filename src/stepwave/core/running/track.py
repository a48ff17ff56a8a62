"""Where a step is, and which moves there are."""

from collections import Counter
from enum import Enum

from stepwave.core.events import Exited, Outcome
from stepwave.core.model import Step


class Phase(Enum):
    """Where a step is. How it ended is its `Outcome`."""

    __hash__ = object.__hash__  # that of Enum is written in Python, and asked for eight times a step

    PENDING = "pending"
    READY = "queued"
    PROMISED = "next in a slot"
    RUNNING = "running"
    STOPPING = "stopping"
    RETRYING = "retrying"
    GATHERING = "waiting for its parts"
    DONE = "done"


moves = {
    Phase.PENDING: {Phase.READY, Phase.DONE},
    Phase.READY: {Phase.PROMISED, Phase.RUNNING, Phase.DONE},
    Phase.PROMISED: {Phase.READY, Phase.RUNNING},
    Phase.RUNNING: {Phase.STOPPING, Phase.RETRYING, Phase.GATHERING, Phase.DONE},
    Phase.STOPPING: {Phase.RETRYING, Phase.DONE},
    Phase.RETRYING: {Phase.READY, Phase.DONE},
    Phase.GATHERING: {Phase.DONE},
    Phase.DONE: set(),
}


class Track:
    """What the schedule knows of one step."""

    __slots__ = (
        "added", "attempts", "bad_needs", "cause", "cut", "cut_needs", "errors", "failed_tests", "last", "limit_s",
        "log", "losses", "outcome", "part", "parts", "parts_left", "passes", "phase", "queued_at", "queued_s",
        "self_deciding", "started_at", "step", "touched", "turn", "turned_at", "waiting", "wave", "whole",
    )  # fmt: skip

    def __init__(self, step: Step, wave: int, self_deciding: bool, *, added: bool = False) -> None:
        self.step = step
        self.wave = wave
        self.added = added  # not in the plan: it came to be while the run went on
        self.waiting = len(step.needs)  # needs that are not done
        # Its condition asks about success or failure, so a failure before it does not skip it unasked.
        self.self_deciding = self_deciding
        self.phase = Phase.PENDING
        self.bad_needs: list[str] = []
        self.cut_needs = 0  # needs that are cut
        self.cut = False  # skipped, because it lies on a branch that was not taken
        self.attempts = 0
        self.losses = 0  # attempts that were lost with the worker that carried them out
        self.turn = 0  # counts launches: those of attempts, and of the tests after them
        self.part = 0  # of the attempt: 0 is its command, n its nth test
        self.failed_tests: list[str] = []
        self.log = ""  # of what was launched last
        self.limit_s: float | None = None  # how long that may run
        self.queued_at = self.queued_s = self.started_at = self.turned_at = 0.0
        self.cause: tuple[Outcome, str] | None = None  # why it was ordered to stop
        self.last: Exited | None = None  # how its command ended
        self.errors: Counter[str] | None = None  # how often each error has come, once there is one
        self.outcome: Outcome | None = None
        self.passes = False  # done, and good enough for those who need it
        self.touched = False  # it has run in this run, or what it hangs on has; asked only where there is a memory
        self.whole: Track | None = None  # the step of the file that it is a part of
        self.parts: list[Track] = []
        self.parts_left = 0

    def move(self, to: Phase) -> None:
        """Raises ValueError for a move that does not exist: a fault of the schedule, never of a file."""
        if to not in moves[self.phase]:
            raise ValueError(f"{self.step.id}: {self.phase.value} -> {to.value}")
        self.phase = to
