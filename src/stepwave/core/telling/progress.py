"""The numbers behind a live display, kept up in constant time per event: what runs, what is held, what is left."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import heappop, heappush

from stepwave.core.events import (
    LeaseAwaited,
    MemoryShort,
    NewStep,
    Outcome,
    RunStarted,
    RunStopping,
    StageStarted,
    StepFinished,
    StepRetrying,
    StepsAdded,
    StepStarted,
    StepStopping,
    StepTested,
    WidthChanged,
)
from stepwave.core.model import Stage, StepType
from stepwave.core.plan import Plan


@dataclass(slots=True)
class Running:
    """A step's current attempt. `tested` of its tests have ended. `stamp` tells whether its log has grown since `said`
    was read."""

    slot: int
    attempt: int
    since_s: float
    log: str
    stopping: str = ""
    tested: int = 0
    stamp: tuple[int, ...] = ()
    said: str = ""


@dataclass(slots=True)
class Gathering:
    """A `forEach` that has become `parts` steps, of which `done` have ended; it runs nothing itself."""

    since_s: float
    parts: int = 0
    done: int = 0


@dataclass(slots=True)
class Wave:
    """How many steps it has, and how those have ended that have."""

    total: int = 0
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    @property
    def left(self) -> int:
        return self.total - self.passed - self.failed - self.skipped


def together(waves: Iterable[Wave]) -> Wave:
    """Several waves as if they were one."""
    whole = Wave()
    for wave in waves:
        whole.total += wave.total
        whole.passed += wave.passed
        whole.failed += wave.failed
        whole.skipped += wave.skipped
    return whole


class Workload:
    """What is left to do, in seconds of the slots and of each pool, as far as it is known; `unknown` are the steps of
    which it is not."""

    def __init__(self, pools: Mapping[str, int]) -> None:
        self.unknown: set[str] = set()
        self._pools = pools
        self._left: dict[str, tuple[float, tuple[tuple[str, int], ...]]] = {}
        self._slot_s = 0.0
        self._pool_s = dict.fromkeys(pools, 0.0)

    def add(self, step: str, seconds: float | None, resources: tuple[tuple[str, int], ...]) -> None:
        if seconds is None:
            self.unknown.add(step)
        else:
            self._left[step] = seconds, resources
            self._count(seconds, resources)

    def drop(self, step: str) -> None:
        """It has ended."""
        self.unknown.discard(step)
        if step in self._left:
            seconds, resources = self._left.pop(step)
            self._count(-seconds, resources)

    def _count(self, seconds: float, resources: Iterable[tuple[str, int]]) -> None:
        self._slot_s += seconds
        for pool, units in resources:
            self._pool_s[pool] += seconds * units

    def left_s(self, slots: int, ages: Mapping[str, float]) -> float:
        """Of the slots, or of the pool that has most to do; `ages` is for how long steps have been running."""
        slot_s, pool_s = self._slot_s, dict(self._pool_s)
        for step, age in ages.items():
            seconds, resources = self._left.get(step, (0.0, ()))
            done_s = min(age, seconds)  # one that takes longer than ever does not make the others quicker
            slot_s -= done_s
            for pool, units in resources:
                pool_s[pool] -= done_s * units
        return max([slot_s / slots, *(left_s / self._pools[pool] for pool, left_s in pool_s.items())], default=0.0)


class Progress:
    """Counts every event; asks nothing of the clock."""

    def __init__(self, plan: Plan) -> None:
        self.name = plan.workflow.name or plan.workflow.id
        self.total = len(plan.steps)
        self.slots = plan.max_concurrency
        self.pools: Mapping[str, int] = plan.workflow.pools
        self.running: dict[str, Running] = {}
        self.gathering: dict[str, Gathering] = {}
        self.stage = Stage.MAIN
        self.narrowed = ""
        self.short: dict[str, MemoryShort | LeaseAwaited] = {}
        self.retrying: dict[str, tuple[float, StepRetrying]] = {}
        self.held: dict[str, int] = {}
        self.waves = [Wave(len(wave)) for wave in plan.waves]
        self.slots_used = 0
        self.done = self.failed = self.tolerated = self.skipped = 0
        self.stopping = ""
        self._steps = {
            id: NewStep(id, step.name, "", plan.wave_of.get(id, 0), resources=step.resources, stage=step.stage)
            for id, step in plan.steps.items()
        }
        self._fan_outs = {step.id for step in plan.steps.values() if step.type is StepType.FAN_OUT}
        self._plan = plan
        self._most = self.slots
        self._free_slots: list[int] = []
        self._wave = 0
        self._ran = 0
        self._ran_s = 0.0
        self._expected = Workload(self.pools)
        for id, step in self._steps.items():
            self._expected.add(id, self._known_s(id), step.resources)

    @property
    def waiting(self) -> int:
        return self.total - self.done - len(self.running) - len(self.gathering)

    def tests_of(self, step: str) -> int:
        """How many tests follow its command."""
        known = self._steps.get(step)
        planned = self._plan.steps.get(step) or self._plan.steps.get(known.after if known else "")
        return len(planned.tests) if planned else 0

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
            case StepTested() if event.step in self.running:
                self.running[event.step].tested += 1
            case RunStarted():
                self.slots = self._most = event.max_concurrency
                self.pools = event.pools
            case RunStopping():
                self.stopping = event.reason
            case MemoryShort(starts=False) | LeaseAwaited():
                self.short[event.step] = event
            case StageStarted() | StepsAdded() | WidthChanged():
                self._change(event)
            case _:
                pass

    def _change(self, event: StageStarted | StepsAdded | WidthChanged) -> None:
        """The run is no longer what it was."""
        if isinstance(event, StageStarted):
            self.stage = event.stage
        elif isinstance(event, StepsAdded):
            self._grow(event.steps)
        else:
            self.slots = event.max_concurrency
            self.narrowed = event.reason if self.slots < self._most else ""

    def _grow(self, steps: Iterable[NewStep]) -> None:
        for step in steps:
            self._steps[step.id] = step
            self.total += 1
            if step.after in self.gathering:
                self._expected.drop(step.after)  # from here on its parts stand for it
            self._expected.add(step.id, self._known_s(step.id), step.resources)
            self.waves += [Wave() for _ in range(step.wave + 1 - len(self.waves))]
            self.waves[step.wave].total += 1
            if step.after in self.gathering:
                self.gathering[step.after].parts += 1

    def _start(self, event: StepStarted, elapsed_s: float) -> None:
        self._leave(event.step)
        self._end_wait(event.step)
        if event.step in self._fan_outs:
            self.gathering[event.step] = Gathering(elapsed_s)
            return
        if event.step in self._steps and self._steps[event.step].stage is Stage.MAIN:
            self.stage = Stage.MAIN  # which no event says: the checks are over
        slot = heappop(self._free_slots) if self._free_slots else self.slots_used
        self.slots_used = max(self.slots_used, slot + 1)
        self.running[event.step] = Running(slot, event.attempt, elapsed_s, event.log)
        self._hold(event.step, 1)

    def _end_wait(self, step: str) -> None:
        self.retrying.pop(step, None)
        self.short.pop(step, None)

    def _leave(self, step: str) -> None:
        """The step is running no longer: its slot and its units are free."""
        running = self.running.pop(step, None)
        if running is not None:
            heappush(self._free_slots, running.slot)
            self._hold(step, -1)

    def _hold(self, step: str, sign: int) -> None:
        known = self._steps.get(step)
        for pool, units in known.resources if known else ():
            self.held[pool] = self.held.get(pool, 0) + sign * units

    def _finish(self, event: StepFinished) -> None:
        self._leave(event.step)
        self._end_wait(event.step)
        whole = self.gathering.pop(event.step, None)
        self.done += 1
        failed = event.outcome in (Outcome.FAILED, Outcome.TIMEOUT)
        self.failed += failed and not event.tolerated
        self.tolerated += failed and event.tolerated
        self.skipped += event.outcome is Outcome.SKIPPED
        if whole is None:
            self._ran += event.attempts > 0
            self._ran_s += event.duration_s
        if (known := self._steps.get(event.step)) is not None:
            self._leave_wave(known, event)

    def _leave_wave(self, step: NewStep, event: StepFinished) -> None:
        self._expected.drop(step.id)
        wave = self.waves[step.wave]
        if event.outcome in (Outcome.FAILED, Outcome.TIMEOUT):
            wave.failed += 1
        elif event.outcome in (Outcome.SKIPPED, Outcome.CANCELLED):
            wave.skipped += 1
        else:
            wave.passed += 1
        if step.after in self.gathering:
            self.gathering[step.after].done += 1

    def wave_of(self, step: str) -> int:
        """The wave of a step, counted from 0."""
        known = self._steps.get(step)
        return known.wave if known else 0

    def wave(self) -> int:
        """The first wave that has steps left, counted from 1."""
        while self._wave < len(self.waves) - 1 and self.waves[self._wave].left <= 0:
            self._wave += 1
        return self._wave + bool(self.waves)

    def _known_s(self, step: str) -> float | None:
        """How long it takes, from earlier runs or by its estimate; None: nobody knows."""
        if step in self._plan.learned:
            return self._plan.learned[step].duration_s
        planned = self._plan.steps.get(step)
        if planned and self._plan.learned and planned.type in (StepType.NOOP, StepType.CONDITION):
            return 0.0
        return planned.estimate_s if planned else None

    def left_s(self, now: float) -> float | None:
        """A guess at the seconds left: from what each step left is known to take, or else from the mean so far."""
        ages = {step: now - running.since_s for step, running in self.running.items()}
        if self.done == self.total:
            return None
        if not self._expected.unknown:
            path_s = max((self._plan.remaining_s.get(step, 0.0) - age for step, age in ages.items()), default=0.0)
            return max(path_s, self._expected.left_s(self.slots, ages))
        if self._ran < 3:
            return None
        mean_s = self._ran_s / self._ran
        at_once = min(max((self._ran_s + sum(ages.values())) / max(now, 0.001), 1.0), self.slots)
        work_s = mean_s * (self.total - self.done) - sum(min(age, mean_s) for age in ages.values())
        return max(work_s, 0.0) / at_once
