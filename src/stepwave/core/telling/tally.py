"""The fold from events to a Summary. A listener like any other; a stored run gives the same summary as a live one."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator

from stepwave.core.events import (
    Entry,
    Event,
    NewStep,
    Outcome,
    RunFinished,
    StepDecided,
    StepFinished,
    StepQueued,
    StepRetrying,
    StepsAdded,
    StepStarted,
    StepTested,
    stdout_log,
)
from stepwave.core.model import STAGES, Dialect, Stage, StepType
from stepwave.core.plan import Plan
from stepwave.core.summary import Statistics, StepResult, Summary


class Pool:
    """One resource over time: what is held, and how many wait for how much of it.

    `unit_s` and `wait_s` are sums up to `now_s`; `pass_time` comes before anything changes, and not at every event:
    there may be a pool for every step.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = self.peak = 0
        self.now_s = self.unit_s = self.wait_s = 0.0
        self.waiting: Counter[int] = Counter()

    def pass_time(self, now_s: float) -> None:
        seconds, self.now_s = now_s - self.now_s, now_s
        self.unit_s += self.held * seconds
        short = sum(count for units, count in self.waiting.items() if units > self.limit - self.held)
        self.wait_s += short * seconds

    def take(self, units: int) -> None:
        self.held += units
        self.peak = max(self.peak, self.held)


class Tally:
    """Feed it every entry in order; `summary()` once RunFinished has come."""

    refresh_s: float | None = None

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._steps = {
            step.id: NewStep(step.id, step.name, "", plan.wave_of[step.id], step.needs, step.resources, step.stage)
            for step in plan.steps.values()
        }
        self._wholes = {step.id for step in plan.steps.values() if step.type is StepType.FAN_OUT}
        self._added: dict[str, list[str]] = {}
        self._tests: dict[str, dict[str, StepTested]] = {}
        self._decisions: dict[str, StepDecided] = {}
        self._run = ""
        self._began_at = 0.0
        self._now_s = 0.0
        self._finish: RunFinished | None = None
        self._starts: dict[str, tuple[float, StepStarted]] = {}
        self._first_s: dict[str, float] = {}
        self._ends: dict[str, tuple[float, StepFinished]] = {}
        self._pools = {name: Pool(limit) for name, limit in plan.workflow.pools.items()}
        self._queued: set[str] = set()
        self._running: set[str] = set()
        self._peak = 0
        self._sequential_s = 0.0

    def see(self, entry: Entry) -> None:
        if entry.seq == 1:
            self._run, self._began_at = entry.run, entry.at - entry.elapsed_s
        self._now_s = entry.elapsed_s
        event = entry.event
        if isinstance(event, StepStarted):
            self._started(event)
        elif isinstance(event, StepFinished):
            self._stopped(event.step)
            self._unqueue(event.step)
            self._ends[event.step] = (entry.elapsed_s, event)
        elif isinstance(event, StepQueued):
            self._queue(event.step)
        else:
            self._note(event)

    def _note(self, event: Event) -> None:
        """What happens less often."""
        if isinstance(event, StepRetrying):
            self._stopped(event.step)
            self._tests.pop(event.step, None)
        elif isinstance(event, StepTested):
            self._tests.setdefault(event.step, {})[event.test] = event
        elif isinstance(event, StepDecided):
            self._decisions[event.step] = event
        elif isinstance(event, StepsAdded):
            self._grow(event.steps)
        elif isinstance(event, RunFinished):
            self._finish = event

    def refresh(self) -> None:
        """Nothing to draw."""

    def pause(self) -> None:
        """Nothing on a terminal."""

    def close(self) -> None:
        """Nothing to put away."""

    # --- as it happens ------------------------------------------------------------------------------

    def _grow(self, steps: Iterable[NewStep]) -> None:
        for step in steps:
            self._steps[step.id] = step
            self._added.setdefault(step.after, []).append(step.id)

    def _queue(self, id: str) -> None:
        self._queued.add(id)
        for pool, units in self._pools_of(id):
            pool.waiting[units] += 1

    def _unqueue(self, id: str) -> None:
        if id in self._queued:
            self._queued.discard(id)
            for pool, units in self._pools_of(id):
                pool.waiting[units] -= 1

    def _started(self, event: StepStarted) -> None:
        self._unqueue(event.step)
        self._starts[event.step] = (self._now_s, event)
        self._first_s.setdefault(event.step, self._now_s)
        if event.step in self._wholes:
            return  # its parts run, not the step itself
        self._running.add(event.step)
        self._peak = max(self._peak, len(self._running))
        for pool, units in self._pools_of(event.step):
            pool.take(units)

    def _stopped(self, id: str) -> None:
        if id not in self._running:
            return
        self._running.discard(id)
        self._sequential_s += self._now_s - self._starts[id][0]
        for pool, units in self._pools_of(id):
            pool.held -= units

    def _pools_of(self, id: str) -> Iterator[tuple[Pool, int]]:
        """What the step asks for, brought up to this moment, so that it can change."""
        for name, units in self._steps[id].resources:
            pool = self._pools[name]
            pool.pass_time(self._now_s)
            yield pool, units

    # --- in the end ---------------------------------------------------------------------------------

    def summary(self) -> Summary:
        """Raises ValueError while the run has not finished."""
        if self._finish is None:
            raise ValueError("the run has not finished")
        return Summary(
            workflow=self._plan.workflow.id,
            name=self._plan.workflow.name or self._plan.workflow.id,
            run=self._run,
            status=self._finish.status,
            exit_code=self._finish.exit_code,
            reason=self._finish.reason,
            started_at=self._began_at,
            wall_s=self._now_s,
            steps=tuple(self._result(id) for id in self._in_order()),
            statistics=self._statistics(),
            metadata=self._plan.workflow.metadata,
            is_workstream=self._plan.workflow.dialect is Dialect.SNAKE,
        )

    def _in_order(self) -> Iterable[str]:
        waiting = list(reversed(list(self._plan.steps)))
        while waiting:
            id = waiting.pop()
            yield id
            waiting += reversed(self._added.get(id, ()))

    def _outcome(self, end: StepFinished) -> Outcome:
        """What was completed and then undone is rolled back."""
        for id in self._added.get(end.step, ()):
            undo = self._ends.get(id)
            if self._steps[id].stage is Stage.ROLLBACK and undo and undo[1].outcome is Outcome.COMPLETED:
                return Outcome.ROLLED_BACK
        return end.outcome

    def _result(self, id: str) -> StepResult:
        ended_s, end = self._ends.get(id, (self._now_s, StepFinished(id, Outcome.CANCELLED)))
        started_s, start = self._starts.get(id, (None, None))
        log = start.log if start and end.log_bytes else None
        return StepResult(
            id=id,
            name=self._steps[id].name,
            outcome=self._outcome(end),
            wave=self._steps[id].wave,
            attempts=end.attempts,
            exit_code=end.exit_code,
            signal=end.signal,
            reason=end.reason,
            tolerated=end.tolerated,
            started_s=started_s,
            ended_s=None if started_s is None else ended_s,
            duration_s=end.duration_s,
            queued_s=end.queued_s,
            pid=end.pid,
            argv=start.argv if start else (),
            cwd=start.cwd if start else "",
            env=start.env if start else {},
            stdout_log=_stdout_log(start, end) if start else None,
            stderr_log=log,
            stage=self._steps[id].stage,
            after=self._steps[id].after,
            taken_from=end.taken_from,
            decision=self._decisions.get(id),
            tests=tuple(self._tests.get(id, {}).values()),
        )

    def _statistics(self) -> Statistics:
        wall_s = self._now_s
        for pool in self._pools.values():
            pool.pass_time(wall_s)
        path = self._critical_path()
        return Statistics(
            total_groups=len(self._plan.waves),
            executed_groups=len(
                {self._steps[id].wave for id in self._starts}.intersection(range(len(self._plan.waves)))
            ),
            max_concurrent_steps=self._peak,
            utilization={
                name: pool.unit_s / (pool.limit * wall_s) if wall_s else 0.0 for name, pool in self._pools.items()
            },
            peak_utilization={name: pool.peak / pool.limit for name, pool in self._pools.items()},
            resource_wait_s={name: pool.wait_s for name, pool in self._pools.items()},
            sequential_s=self._sequential_s,
            time_saved_percent=saved_percent(wall_s, self._sequential_s),
            critical_path=path,
            critical_path_s=sum(self._ends[id][0] - self._first_s[id] for id in path),
        )

    def _critical_path(self) -> tuple[str, ...]:
        """From the step that ended last back through what each waited for longest."""
        ran = [id for id in self._starts if id in self._ends]
        path: list[str] = []
        before: list[str] = ran
        while before:
            last = max(before, key=lambda id: self._ends[id][0])
            path.append(last)
            before = [id for id in self._awaited(last, ran) if id in self._starts and id in self._ends]
        return tuple(reversed(path))

    def _awaited(self, id: str, ran: list[str]) -> Iterable[str]:
        """What had to end before the step could start: its needs, those of the whole that it is a part of, or every
        step of the stages before its own."""
        step = self._steps[id]
        needs = step.needs or (self._steps[step.after].needs if step.after in self._wholes else ())
        if needs or step.stage is STAGES[0]:
            return needs
        earlier = STAGES[: STAGES.index(step.stage)]
        return (other for other in ran if self._steps[other].stage in earlier)


def _stdout_log(start: StepStarted, end: StepFinished) -> str | None:
    if start.keep_output:
        return stdout_log(start.log) if end.stdout_bytes else None
    return start.log if end.log_bytes else None


def saved_percent(wall_s: float, sequential_s: float) -> int:
    """floor(100 x (1 - wall / sequential)), at least 0."""
    return max(0, math.floor(100 * (1 - wall_s / sequential_s))) if sequential_s > 0 else 0
