"""A world made of numbers: what steps do is written down, time jumps from one end to the next."""

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from stepwave.core.diagnostics import Place
from stepwave.core.events import (
    Event,
    Exited,
    Launch,
    Measure,
    Measured,
    Order,
    Outcome,
    Signal,
    Silent,
    StepFinished,
    StepStarted,
    Tick,
)
from stepwave.core.model import Step, Workflow
from stepwave.core.plan import Plan
from stepwave.core.running.graph import make_plan
from stepwave.core.running.needs import minds_memory
from stepwave.core.running.prepare import Preparation
from stepwave.core.running.schedule import Schedule

HERE = Place("test.yaml")


def step(id: str, *needs: str, **fields: object) -> Step:
    return Step(**{"id": id, "place": HERE, "argv": ("true",), "needs": needs, **fields})  # type: ignore[arg-type]


def workflow(*steps: Step, **fields: object) -> Workflow:
    return Workflow(id="test", place=HERE, steps=steps, **fields)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Acts:
    """What an attempt of a step does: how long it takes, how it exits, whether SIGTERM ends it, what it prints.

    `silent_s`: when its silence is told, if anybody asked.
    """

    seconds: float = 1.0
    code: int = 0
    obeys: bool = True
    output: str | None = None
    tail: str = ""
    silent_s: float | None = None


@dataclass
class World:
    """Runs a schedule against written-down behaviour. `acts[id]` is one Acts, or a list, one for each attempt;
    `acts["id#1"]` is that of the step's first test. `measured`: the answers to `Measure`, the last one again and again;
    or `measure` gives them. Where the plan minds memory, the first one is what the machine has before the run.
    """

    plan: Plan
    acts: Mapping[str, Acts | list[Acts]] = field(default_factory=dict)
    signals: list[tuple[float, Signal]] = field(default_factory=list)
    measured: list[Measured] = field(default_factory=list)
    measure: "Callable[[World], Measured] | None" = None
    launches: list[Launch] = field(default_factory=list)
    events: list[tuple[float, Event]] = field(default_factory=list)
    running: set[str] = field(default_factory=set)
    overlaps: list[frozenset[str]] = field(default_factory=list)
    asked: list[float] = field(default_factory=list)
    now: float = 0.0

    def run(self, schedule: Schedule | None = None, **options: object) -> "World":
        preparation = Preparation(self.plan, environ={"HOME": "/root"}, run="r", run_folder="/run", now=0.0)
        if (self.measured or self.measure) and minds_memory(self.plan):
            options.setdefault("measured", self._answer())
        schedule = schedule or Schedule(self.plan, preparation, **options)  # type: ignore[arg-type]
        self.schedule = schedule
        self._ends: list[tuple[float, int, Exited]] = []
        self._current: dict[str, Exited] = {}
        self._count = 0
        self._pending = sorted(self.signals, key=lambda item: item[0])
        self._take(*schedule.begin(self.now))
        while not schedule.done:
            times = [
                t
                for t in (self._next_end(), self._pending[0][0] if self._pending else None, schedule.next_alarm)
                if t is not None
            ]
            assert times, f"nothing will ever happen again: {[schedule.why(id) for id in self.plan.steps]}"
            self.now = max(self.now, min(times))
            if self._pending and self._pending[0][0] <= self.now:
                signal: Signal = self._pending.pop(0)[1]
            elif self._ends and self._ends[0][0] <= self.now:
                signal = self._end()
            else:
                signal = Tick()
            self._take(*schedule.handle(signal, self.now))
        return self

    def _answer(self) -> Measured:
        if self.measure is not None:
            return self.measure(self)
        return self.measured.pop(0) if len(self.measured) > 1 else self.measured[0]

    def _next_end(self) -> float | None:
        while self._ends and self._current.get(self._ends[0][2].step) is not self._ends[0][2]:
            heapq.heappop(self._ends)
        return self._ends[0][0] if self._ends else None

    def _end(self) -> Exited:
        end = heapq.heappop(self._ends)[2]
        del self._current[end.step]
        self.running.discard(end.step)
        return end

    def _take(self, events: list[Event], orders: list[Order]) -> None:
        self.events += [(self.now, event) for event in events]
        for order in orders:
            if isinstance(order, Measure):
                self.asked.append(self.now)
                self._pending.insert(0, (self.now, self._answer()))
                continue
            acts = self._acts(order.step, order.attempt, order if isinstance(order, Launch) else None)
            if isinstance(order, Launch):
                self.launches.append(order)
                self.running.add(order.step)
                self.overlaps.append(frozenset(self.running))
                end = Exited(order.step, order.attempt, code=acts.code, stdout=acts.output, stderr="", tail=acts.tail)
                self._plan_end(acts.seconds, end)
                if acts.silent_s is not None and order.idle_s is not None:
                    told = (self.now + acts.silent_s, Silent(order.step, order.attempt))
                    self._pending = sorted([*self._pending, told], key=lambda item: item[0])
            elif order.step in self._current and (acts.obeys or order.force):
                self._plan_end(0.0, Exited(order.step, order.attempt, signal=15, stopped=True))

    def _plan_end(self, seconds: float, end: Exited) -> None:
        self._count += 1
        self._current[end.step] = end
        heapq.heappush(self._ends, (self.now + seconds, self._count, end))

    def _acts(self, id: str, attempt: int, launch: Launch | None) -> Acts:
        _, test, number = launch.log.removesuffix(".log").rpartition(".test-") if launch else ("", "", "")
        acts = self.acts.get(f"{id}#{number}" if test else id, Acts())
        return acts[attempt - 1] if isinstance(acts, list) else acts

    # what became of it

    def of(self, kind: type) -> list[Event]:
        return [event for _, event in self.events if isinstance(event, kind)]

    @property
    def ends(self) -> dict[str, StepFinished]:
        return {event.step: event for event in self.of(StepFinished)}  # type: ignore[attr-defined]

    @property
    def outcomes(self) -> dict[str, str]:
        return {id: end.outcome.value for id, end in self.ends.items()}

    @property
    def reasons(self) -> dict[str, str | None]:
        return {id: end.reason for id, end in self.ends.items()}

    @property
    def exit_code(self) -> int:
        return self.events[-1][1].exit_code  # type: ignore[union-attr]

    @property
    def started(self) -> dict[str, float]:
        """First start of each step."""
        starts: dict[str, float] = {}
        for at, event in self.events:
            if isinstance(event, StepStarted):
                starts.setdefault(event.step, at)
        return starts


def run(*steps: Step, acts: Mapping[str, Acts | list[Acts]] | None = None, cpus: int = 4, **fields: object) -> World:
    """Run these steps; what is no field of a workflow is an option of the schedule."""
    options = {name: fields.pop(name) for name in ("deselected", "strict", "skip_agents", "memory") if name in fields}
    signals, measured = fields.pop("signals", []), fields.pop("measured", [])
    flow = workflow(*steps, **fields)
    world = World(make_plan(flow, cpus=cpus), acts or {}, signals, measured)  # type: ignore[arg-type]
    options["cpus"] = cpus
    return world.run(**options)


completed, failed, timeout, skipped, cancelled, rolled_back = (outcome.value for outcome in Outcome)
