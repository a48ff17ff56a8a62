"""The numbers behind a live display, kept up in constant time per event: what runs, what is held, what is left."""

from collections.abc import Mapping
from dataclasses import dataclass
from heapq import heappop, heappush

from stepwave.core.events import (
    Outcome,
    RunStarted,
    RunStopping,
    StepFinished,
    StepRetrying,
    StepStarted,
    StepStopping,
)
from stepwave.core.plan import Plan


@dataclass(slots=True)
class Running:
    """A step's current attempt. `stamp` tells whether its log has grown since `said` was read."""

    slot: int
    attempt: int
    since_s: float
    log: str
    stopping: str = ""
    stamp: tuple[int, ...] = ()
    said: str = ""


class Progress:
    """Counts every event; asks nothing of the clock."""

    def __init__(self, plan: Plan) -> None:
        self.name = plan.workflow.name or plan.workflow.id
        self.total = len(plan.steps)
        self.slots = plan.max_concurrency
        self.pools: Mapping[str, int] = plan.workflow.pools
        self.running: dict[str, Running] = {}
        self.retrying: dict[str, tuple[float, StepRetrying]] = {}
        self.held: dict[str, int] = {}
        self.left_in_wave = [len(wave) for wave in plan.waves]
        self.slots_used = 0
        self.done = self.failed = self.tolerated = self.skipped = 0
        self.stopping = ""
        self._plan = plan
        self._free_slots: list[int] = []
        self._wave = 0
        self._ran = 0
        self._ran_s = 0.0
        self._estimate_s = sum(step.estimate_s or 0.0 for step in plan.steps.values())
        self._without_estimate = sum(step.estimate_s is None for step in plan.steps.values())

    @property
    def waiting(self) -> int:
        return self.total - self.done - len(self.running)

    def count(self, event: object, elapsed_s: float) -> None:
        match event:
            case StepStarted():
                self._start(event, elapsed_s)
            case StepFinished():
                self._finish(event)
            case StepRetrying():
                self._leave(event.step)
                self.retrying[event.step] = (elapsed_s + event.delay_s, event)
            case StepStopping() if event.step in self.running:
                self.running[event.step].stopping = event.reason
            case RunStarted():
                self.slots, self.pools = event.max_concurrency, event.pools
            case RunStopping():
                self.stopping = event.reason
            case _:
                pass

    def _start(self, event: StepStarted, elapsed_s: float) -> None:
        self._leave(event.step)
        self.retrying.pop(event.step, None)
        slot = heappop(self._free_slots) if self._free_slots else self.slots_used
        self.slots_used = max(self.slots_used, slot + 1)
        self.running[event.step] = Running(slot, event.attempt, elapsed_s, event.log)
        self._hold(event.step, 1)

    def _leave(self, step: str) -> None:
        """The step is running no longer: its slot and its units are free."""
        running = self.running.pop(step, None)
        if running is not None:
            heappush(self._free_slots, running.slot)
            self._hold(step, -1)

    def _hold(self, step: str, sign: int) -> None:
        planned = self._plan.steps.get(step)
        for pool, units in planned.resources if planned else ():
            self.held[pool] = self.held.get(pool, 0) + sign * units

    def _finish(self, event: StepFinished) -> None:
        self._leave(event.step)
        self.retrying.pop(event.step, None)
        self.done += 1
        failed = event.outcome in (Outcome.FAILED, Outcome.TIMEOUT)
        self.failed += failed and not event.tolerated
        self.tolerated += failed and event.tolerated
        self.skipped += event.outcome is Outcome.SKIPPED
        self._ran += event.attempts > 0
        self._ran_s += event.duration_s
        if event.step in self._plan.steps:
            self.left_in_wave[self._plan.wave_of[event.step]] -= 1
            estimate_s = self._plan.steps[event.step].estimate_s
            self._estimate_s -= estimate_s or 0.0
            self._without_estimate -= estimate_s is None

    def wave(self) -> int:
        """The first wave that has steps left, counted from 1."""
        while self._wave < len(self.left_in_wave) - 1 and self.left_in_wave[self._wave] <= 0:
            self._wave += 1
        return self._wave + bool(self.left_in_wave)

    def left_s(self, now: float) -> float | None:
        """A guess at the seconds left: from the estimates where every step left has one, else from the mean so far."""
        ages = {step: now - running.since_s for step, running in self.running.items()}
        if self.done == self.total:
            return None
        if not self._without_estimate:
            path_s = max((self._plan.remaining_s.get(step, 0.0) - age for step, age in ages.items()), default=0.0)
            return max(path_s, (self._estimate_s - sum(ages.values())) / self.slots, 0.0)
        if self._ran < 3:
            return None
        mean_s = self._ran_s / self._ran
        at_once = min(max((self._ran_s + sum(ages.values())) / max(now, 0.001), 1.0), self.slots)
        work_s = mean_s * (self.total - self.done) - sum(min(age, mean_s) for age in ages.values())
        return max(work_s, 0.0) / at_once
