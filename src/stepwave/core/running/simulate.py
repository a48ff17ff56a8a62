"""What a run would take: the real `Schedule`, with a clock that jumps from one end of a step to the next.

Rule 1  It decides nothing itself. Who starts when is what the schedule says, as in a run.
Rule 2  A step is no more than how long it takes and what it needs: conditions, tests and retries have been, or are
        taken to come out well. Starting a process takes no time.
"""

from collections.abc import Iterable, Mapping, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

from stepwave.core.diagnostics import Place
from stepwave.core.events import Event, Exited, Launch, Order, StepFinished, Tick
from stepwave.core.model import Scheduling, Step, StepType, Workflow
from stepwave.core.plan import Learned, Plan
from stepwave.core.running.bound import Bound, Task, lower_bound
from stepwave.core.running.graph import informed, make_plan
from stepwave.core.running.prepare import Preparation
from stepwave.core.running.schedule import Schedule
from stepwave.core.running.weights import CRITICAL_PATH, GUESS_S, expected_s, in_order

_nowhere = Place("simulation")


class Setting(NamedTuple):
    """What the tasks run within. `slots` are at least 1, `pools` hold units."""

    slots: int
    pools: Mapping[str, int]
    rate_limit_s: float = 0.0
    by_waves: bool = False
    order: str = CRITICAL_PATH


class Slice(NamedTuple):
    """A step on its slot, in seconds after the start of the run. Slots count from 0; of two free ones the lower is
    taken. -1: it has no process."""

    id: str
    begin_s: float
    end_s: float
    slot: int


class Simulated(NamedTuple):
    """`slices` in the order in which they begin. `utilization` is a time-weighted mean for each pool, 0..1, the slots
    first."""

    makespan_s: float
    slices: tuple[Slice, ...]
    bound: Bound
    utilization: tuple[tuple[str, float], ...]


class CannotSimulate(ValueError):  # noqa: N818 - a plain sentence
    """A step asks for more than there is; the text is the end of a sentence."""


def simulate(tasks: Sequence[Task], setting: Setting) -> Simulated:
    """Run the tasks; each comes after all that it needs. Raises CannotSimulate when one of them could never start."""
    _check(tasks, setting)
    plan = _plan(tasks, setting)
    schedule = Schedule(plan, Preparation(plan, environ={}, run="simulation", run_folder="/", now=0.0))
    clock = _Clock({task.id: task.seconds for task in tasks if task.slots})
    clock.go_on(*schedule.begin(0.0))
    while not schedule.done:
        alarm = schedule.next_alarm
        end = clock.next_end(before=alarm)
        if end is None:
            assert alarm is not None, "nothing will ever happen again"
            clock.now = max(clock.now, alarm)
        clock.go_on(*schedule.handle(Tick() if end is None else end, clock.now))
    bound = lower_bound(tasks, setting.slots, setting.pools)
    return Simulated(clock.now, tuple(clock.slices), bound, _utilization(bound, clock.now))


def _utilization(bound: Bound, makespan_s: float) -> tuple[tuple[str, float], ...]:
    return tuple((name, load_s / makespan_s if makespan_s else 0.0) for name, load_s in bound.loads)


class _Clock:
    """Launches come in, ends go out, in the order of time; of those of one moment in the order of their launches."""

    def __init__(self, seconds: Mapping[str, float]) -> None:
        self.now = 0.0
        self.slices: list[Slice] = []
        self._seconds = seconds
        self._ends: list[tuple[float, int, int, Launch]] = []
        self._free: list[int] = []
        self._used = 0

    def go_on(self, events: Iterable[Event], orders: Iterable[Order]) -> None:
        for event in events:
            if isinstance(event, StepFinished) and event.step not in self._seconds:
                self.slices.append(Slice(event.step, self.now, self.now, -1))
        for order in orders:
            assert isinstance(order, Launch), "nothing here fails or is stopped"
            if self._free:
                slot = heappop(self._free)
            else:
                slot, self._used = self._used, self._used + 1
            end_s = self.now + self._seconds[order.step]
            heappush(self._ends, (end_s, len(self.slices), slot, order))
            self.slices.append(Slice(order.step, self.now, end_s, slot))

    def next_end(self, before: float | None) -> Exited | None:
        """The next one, and now is then; None when there is none, or `before` comes first."""
        if not self._ends or (before is not None and before < self._ends[0][0]):
            return None
        self.now, _, slot, launch = heappop(self._ends)
        heappush(self._free, slot)
        return Exited(launch.step, launch.attempt, code=0, stdout="", stderr="")


# --- what the schedule is given ----------------------------------------------------------------------------


def _check(tasks: Iterable[Task], setting: Setting) -> None:
    for task in tasks:
        for pool, units in task.resources:
            if units > setting.pools.get(pool, 0):
                has = setting.pools.get(pool, 0)
                raise CannotSimulate(f"step `{task.id}` needs {units} of pool `{pool}`, which has {has}")


def _plan(tasks: Sequence[Task], setting: Setting) -> Plan:
    flow = Workflow(
        id="simulation",
        place=_nowhere,
        steps=tuple(_step(task) for task in tasks),
        pools=setting.pools,
        rate_limit_s=setting.rate_limit_s,
        scheduling=Scheduling.WAVES if setting.by_waves else Scheduling.EAGER,
    )
    plan = make_plan(flow, cpus=1, max_concurrency=setting.slots)
    known = informed(plan, {task.id: Learned(1, task.seconds) for task in tasks})
    return in_order(known, setting.order)


def _step(task: Task) -> Step:
    return Step(
        id=task.id,
        place=_nowhere,
        type=StepType.SCRIPT if task.slots else StepType.NOOP,
        argv=("true",) if task.slots else (),
        needs=task.needs,
        stage=task.stage,
        exclusive=task.alone,
        max_concurrency=task.max_concurrency,
        resources=task.resources if task.slots else (),
        priority=task.priority,
    )


# --- where the tasks come from -----------------------------------------------------------------------------


def tasks_of(plan: Plan) -> tuple[Task, ...]:
    """The steps of a plan, with the times that they are expected to take. Every branch is taken. A `forEach` over what
    a step brings has the parts that it had in earlier runs; one that has never run is a step like any other."""
    known_s = expected_s(plan.steps, plan.learned)
    tasks: list[Task] = []
    parts_of = _parts(plan)
    for id in (id for wave in plan.waves for id in wave):
        step, parts = plan.steps[id], parts_of.get(id, [])
        tasks += [_task(step, part, plan.learned[part].duration_s, step.needs, slots=1) for part in parts]
        bare = bool(parts) or step.type in (StepType.NOOP, StepType.CONDITION)
        seconds = 0.0 if bare else known_s.get(id, GUESS_S)
        tasks.append(_task(step, id, seconds, (*step.needs, *parts), slots=0 if bare else 1))
    return tuple(tasks)


def _parts(plan: Plan) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for id in plan.learned:
        whole = id.partition("[")[0]
        if id not in plan.steps and whole in plan.steps and plan.steps[whole].type is StepType.FAN_OUT:
            found.setdefault(whole, []).append(id)
    return found


def _task(step: Step, id: str, seconds: float, needs: tuple[str, ...], *, slots: int) -> Task:
    return Task(
        id=id,
        seconds=seconds,
        needs=needs,
        resources=step.resources if slots else (),
        stage=step.stage,
        alone=step.exclusive and slots > 0,
        slots=slots,
        max_concurrency=step.max_concurrency if slots else None,
        priority=step.priority,
    )


def setting_of(plan: Plan, order: str = CRITICAL_PATH) -> Setting:
    """What a plan runs within."""
    flow = plan.workflow
    by_waves = flow.scheduling is Scheduling.WAVES and flow.parallel
    return Setting(plan.max_concurrency, flow.pools, flow.rate_limit_s, by_waves, order)
