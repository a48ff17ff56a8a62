"""The fold from events to a Story: of a run that has ended, of one that still runs, and of one that has died.

Slots are numbers that nobody has handed out: an attempt gets the lowest one that is free, so that attempts which ran at
one time have different ones.
"""

from collections.abc import Iterable
from heapq import heappop, heappush
from typing import NamedTuple

from stepwave.core.events import (
    Event,
    LeaseAwaited,
    MemoryShort,
    NewStep,
    Outcome,
    RunFinished,
    RunStarted,
    RunStopping,
    StageStarted,
    StepDecided,
    StepFinished,
    StepLeftProcesses,
    StepLogCut,
    StepQueued,
    StepRetrying,
    StepsAdded,
    StepStarted,
    StepStopping,
    StepTested,
    WidthChanged,
)
from stepwave.core.model import RATE_LIMIT, STAGES, Stage, StepType
from stepwave.core.telling.charging import Charging
from stepwave.core.telling.critical import critical_path
from stepwave.core.telling.levels import Levels
from stepwave.core.telling.story import (
    RATE,
    Attempt,
    Cause,
    Drawn,
    Sketch,
    StepStory,
    Story,
)
from stepwave.core.telling.tale import Tale, added, ask_of, end_of, note_last


class Cover(NamedTuple):
    """What stands on a run, and in none of its events.

    `now_s`: seconds since its start, of one that is alive. `end`: what is known of its end where no event tells of it,
    as the runner itself has failed; `now_s` is when, then.
    """

    run: str
    workflow: str = ""
    name: str = ""
    file: str = ""
    folder: str = ""
    started_at: float = 0.0
    alive: bool = False
    now_s: float | None = None
    resumed_from: str | None = None
    stepwave: str = ""
    end: RunFinished | None = None


def retell(cover: Cover, sketch: Sketch | None, happened: Iterable[tuple[float, Event]]) -> Story:
    """`happened`: every event with its moment, in order, all of one turn at one moment. `sketch` None: it was not
    recorded; then needs, places and pools are not known.
    """
    telling = _Retelling(sketch)
    for at, event in happened:
        telling.see(at, event)
    return telling.story(cover)


class _Retelling:
    """Feed it every event in order; `story` when there are no more."""

    def __init__(self, sketch: Sketch | None) -> None:
        self._sketch = sketch or Sketch()
        self._sketched = sketch is not None
        self._awaited: set[str] = set()
        self._tales: dict[str, Tale] = {}
        self._below: dict[str, list[str]] = {}
        self._now = 0.0
        self._begun: RunStarted | None = None
        self._charging = Charging(1, {})
        self._levels = Levels({})
        self._due: list[tuple[float, int, str]] = []
        self._ends = 0
        self._last_of_stage: dict[Stage, Tale] = {}
        self._last_of_wave: dict[int, Tale] = {}
        self._widths: list[tuple[float, int]] = []
        self._unended: list[Tale] = []
        self._stopping: str | None = None
        self._finished: RunFinished | None = None

    # --- events -------------------------------------------------------------------------------------

    def see(self, at: float, event: Event) -> None:
        if at > self._now:
            self._pass_time(at)
        if isinstance(event, RunStarted):
            self._begin(event)
        elif isinstance(event, StepsAdded):
            self._grow(event.steps)
        elif isinstance(event, StageStarted):
            self._stage(event)
        elif isinstance(event, WidthChanged):
            self._charging.capacity = event.max_concurrency
            self._widths.append((at, event.max_concurrency))
        elif isinstance(event, RunStopping):
            self._stopping = self._stopping or event.reason
        elif isinstance(event, RunFinished):
            self._finished = event
        elif (id := getattr(event, "step", None)) in self._tales:
            self._move(self._tales[id], event)

    def _move(self, tale: Tale, event: Event) -> None:
        if isinstance(event, StepQueued):
            self._queue(tale)
        elif isinstance(event, StepStarted):
            self._start(tale, event)
        elif isinstance(event, StepRetrying):
            self._retry(tale, event)
        elif isinstance(event, StepFinished):
            self._finish(tale, event)
        else:
            self._note(tale, event)

    def _note(self, tale: Tale, event: Event) -> None:
        """What happens less often, and moves nothing."""
        if isinstance(event, StepStopping):
            tale.stopping = event.reason
        elif isinstance(event, MemoryShort):
            if not event.starts:
                self._lack_memory(tale)
        elif isinstance(event, LeaseAwaited):
            self._await_lease(tale, event.pools)
        elif isinstance(event, StepTested):
            tale.tests[event.test] = event
        elif isinstance(event, StepDecided):
            tale.decision = event
        elif isinstance(event, StepLeftProcesses):
            tale.left += event.processes
        elif isinstance(event, StepLogCut) and tale.attempts:
            tale.attempts[-1] = tale.attempts[-1]._replace(dropped_bytes=event.dropped_bytes)

    def _lack_memory(self, tale: Tale) -> None:
        """It waits for its turn, so its delay is over, if only by this moment."""
        if tale.due_s is not None:
            self._end_delay(tale, self._now)
            self._join(tale)
        if tale.waiting:
            self._charging.note_short(tale.step.id)

    def _await_lease(self, tale: Tale, pools: tuple[str, ...]) -> None:
        """From here on until it starts, or asks for something else, it waits for the first of these."""
        if not pools or tale.ready_s is None or tale.ended_s is not None or tale.is_running:
            return
        pool = pools[0]
        key = (Cause.LIMIT, RATE) if pool == RATE_LIMIT else (Cause.POOL, pool)
        if tale.waiting:
            tale.waiting = False
            tale.waits += self._charging.leave(tale.step.id, key)
            # Between being ready and the answer nothing else is to blame.
            tale.since_s = tale.waits.pop().begin_s if tale.waits and tale.waits[-1][2:] == key else self._now
        else:
            self._stop_waiting(tale)
        self._awaited.update(pools)
        tale.leasing = key
        self._charging.keep(pool, dict(tale.step.resources).get(pool, 0))

    def _pass_time(self, now: float) -> None:
        """Steps whose delay is over begin to wait for their turn."""
        while self._due and self._due[0][0] <= now:
            due_s, _, id = heappop(self._due)
            tale = self._tales[id]
            if tale.due_s == due_s:
                self._charging.pass_time(due_s)
                self._end_delay(tale, due_s)
                self._join(tale)
        self._charging.pass_time(now)
        self._now = now

    # --- steps that come to be ------------------------------------------------------------------------

    def _begin(self, event: RunStarted) -> None:
        self._begun = event
        if self._sketched:
            self._charging = Charging(event.max_concurrency, event.pools, self._sketch.rate_limit_s)
        else:  # it may have waited for a pool, and nobody knows
            self._charging = Charging(event.max_concurrency, event.pools, blamed=(Cause.LIMIT, ""))
        self._charging.pass_time(self._now)
        self._levels = Levels({"": event.max_concurrency, **(event.pools if self._sketched else {})})
        known = {step.id: step for step in self._sketch.steps}
        planned = {id: known.get(id) or Drawn(id, id, n) for n, wave in enumerate(event.waves) for id in wave}
        limited = {step.wave for step in planned.values() if step.max_concurrency is not None}
        for id in dict.fromkeys((*(id for id in known if id in planned), *planned)):
            step = planned[id]
            self._tales[id] = Tale(step, ask_of(step, limits=step.wave in limited), self._now)

    def _stage(self, event: StageStarted) -> None:
        """Without a sketch this is where it is known from."""
        for id in event.steps:
            if id in self._tales:
                self._tales[id].step = self._tales[id].step._replace(stage=event.stage)

    def _grow(self, steps: Iterable[NewStep]) -> None:
        for new in steps:
            above = self._tales.get(new.after)
            step = added(new, above.step if above else None)
            self._tales[new.id] = Tale(step, ask_of(step, limits=step.max_concurrency is not None), self._now)
            self._below.setdefault(new.after, []).append(new.id)
            if above is not None and above.is_running:
                self._gather(above)

    def _gather(self, whole: Tale) -> None:
        """Its parts run, and the step itself takes no slot."""
        last = whole.attempts[-1]
        if last.slot >= 0:
            self._give_back(whole)
            whole.attempts[-1] = last._replace(slot=-1)
            whole.step = whole.step._replace(type=StepType.FAN_OUT)

    # --- a step's life ------------------------------------------------------------------------------

    def _join(self, tale: Tale) -> None:
        tale.waiting = True
        self._charging.join(tale.step.id, tale.ask)

    def _queue(self, tale: Tale) -> None:
        self._account_for_needs(tale)
        tale.ready_s = self._now
        self._join(tale)

    def _start(self, tale: Tale, event: StepStarted) -> None:
        self._stop_waiting(tale)
        id = tale.step.id
        self._charging.start(id, tale.ask, launched=bool(event.argv))
        slot = self._levels.take(self._now, tale.step.resources)
        tale.attempts.append(
            Attempt(event.attempt, self._now, None, slot, event.argv, event.cwd, log=event.log, apart=event.keep_output)
        )
        tale.stopping = None

    def _stop_waiting(self, tale: Tale) -> None:
        """Up to this moment its time is accounted for."""
        if tale.waiting:
            tale.waiting = False
            before = tale.last_wait()
            found = self._charging.leave(tale.step.id, before[2:] if before and self._sketched else None)
            if before and found and before[2:] == found[0][2:]:
                tale.waits[-1] = before._replace(end_s=found.pop(0).end_s)
            tale.waits += found
            tale.since_s = self._now
        elif tale.leasing is not None:
            cause, pool = tale.leasing
            tale.leasing = None
            tale.wait(self._now, cause, pool)
            self._charging.keep(pool, -dict(tale.step.resources).get(pool, 0))
        elif tale.due_s is not None:
            self._end_delay(tale, self._now)
        elif not tale.attempts:
            self._account_for_needs(tale)

    def _end_attempt(self, tale: Tale, end: StepRetrying | StepFinished, log_bytes: int) -> None:
        last = tale.attempts[-1]
        if last.slot >= 0:
            self._give_back(tale)
        tale.attempts[-1] = last._replace(
            end_s=self._now,
            reason=end.reason,
            exit_code=end.exit_code,
            signal=end.signal,
            usage=end.usage,
            log_bytes=log_bytes,
        )
        tale.since_s = self._now

    def _give_back(self, tale: Tale) -> None:
        self._charging.end(tale.step.id)
        self._levels.give_back(self._now, tale.attempts[-1].slot, tale.step.resources)

    def _retry(self, tale: Tale, event: StepRetrying) -> None:
        if not tale.is_running:
            return
        self._end_attempt(tale, event, 0)
        tale.tests.clear()
        tale.due_s = self._now + event.delay_s
        heappush(self._due, (tale.due_s, len(tale.attempts), tale.step.id))

    def _end_delay(self, tale: Tale, until: float) -> None:
        tale.due_s = None
        tale.wait(until, Cause.RETRY)

    def _finish(self, tale: Tale, event: StepFinished) -> None:
        if tale.is_running:
            self._end_attempt(tale, event, event.log_bytes)
        else:
            self._stop_waiting(tale)
        tale.end, tale.ended_s = event, self._now
        self._ends += 1
        tale.order = self._ends
        note_last(self._last_of_stage, tale.step.stage, tale)
        note_last(self._last_of_wave, tale.step.wave, tale)
        if tale.step.stage is Stage.ROLLBACK and event.outcome is Outcome.COMPLETED and tale.step.after in self._tales:
            self._tales[tale.step.after].undone = True

    # --- what is waited for before it is ready ----------------------------------------------------------

    def _account_for_needs(self, tale: Tale) -> None:
        """From the creation of a step up to this moment it waited for others to end."""
        needs = [self._tales[need] for need in tale.step.needs if need in self._tales]
        open_needs = [need for need in needs if need.ended_s is None]
        if open_needs:
            self._wait_for(tale, next((need for need in open_needs if need.is_running), open_needs[0]))
            return
        last = max(needs, key=end_of, default=None)
        if last is not None and last.ended_s is not None:
            tale.wait(last.ended_s, Cause.NEED, last.step.id)
        if tale.since_s < self._now:
            self._wait_for(tale, self._before(tale.step) or last)

    def _wait_for(self, tale: Tale, other: Tale | None) -> None:
        name = other.step.id if other else ""
        if tale.waits and tale.waits[-1][2:] == (Cause.NEED, name):
            tale.waits[-1] = tale.waits[-1]._replace(end_s=self._now)
            tale.since_s = self._now
        tale.wait(self._now, Cause.NEED, name)

    def _before(self, step: Drawn) -> Tale | None:
        """The last step to end of those that come before it without being needed: the stages, and where waves are
        barriers, the waves before its own. In the end of the story: the first one that has not ended."""
        stages = STAGES[: STAGES.index(step.stage)]
        barrier = self._sketch.by_waves and step.stage is Stage.MAIN
        for other in self._unended:
            if other.step.stage in stages or (barrier and other.step.wave < step.wave):
                return other
        found = [tale for stage in stages if (tale := self._last_of_stage.get(stage))]
        if barrier:
            found += [tale for wave, tale in self._last_of_wave.items() if wave < step.wave]
        return max(found, key=end_of, default=None)

    # --- in the end ---------------------------------------------------------------------------------

    def story(self, cover: Cover) -> Story:
        if cover.now_s is not None and self._finished is None and cover.now_s > self._now:
            self._pass_time(cover.now_s)
        self._unended = [tale for tale in self._tales.values() if tale.is_running]
        for tale in self._tales.values():
            if tale.end is None and not tale.is_running:
                self._stop_waiting(tale)
        begun, finished = self._begun, self._finished or cover.end
        width = begun.max_concurrency if begun else 1
        steps = tuple(self._tell(self._tales[id]) for id in self._in_order())
        return Story(
            run=cover.run,
            workflow=cover.workflow,
            name=cover.name,
            file=cover.file,
            folder=cover.folder,
            started_at=cover.started_at,
            wall_s=self._now,
            status=finished.status if finished else None,
            alive=cover.alive and finished is None,
            exit_code=finished.exit_code if finished else None,
            reason=finished.reason if finished else self._stopping,
            max_concurrency=width,
            steps=steps,
            pools=self._levels.stories(),
            widths=((0.0, width), *self._widths),
            critical_path=critical_path(steps),
            resumed_from=cover.resumed_from,
            stepwave=cover.stepwave,
            sketched=self._sketched,
            rate_limit_s=self._sketch.rate_limit_s,
            by_waves=self._sketch.by_waves,
            awaited=tuple(sorted(self._awaited)),
        )

    def _in_order(self) -> Iterable[str]:
        waiting = [id for id, tale in reversed(self._tales.items()) if tale.step.after not in self._tales]
        while waiting:
            id = waiting.pop()
            yield id
            waiting += reversed(self._below.get(id, ()))

    @staticmethod
    def _tell(tale: Tale) -> StepStory:
        end = tale.end
        rolled_back = tale.undone and end is not None and end.outcome is Outcome.COMPLETED
        return StepStory(
            drawn=tale.step,
            outcome=Outcome.ROLLED_BACK if rolled_back else end.outcome if end else None,
            reason=end.reason if end else None,
            tolerated=end is not None and end.tolerated,
            ready_s=tale.ready_s,
            ended_s=tale.ended_s,
            attempts=tuple(tale.attempts),
            waits=tuple(tale.waits),
            tests=tuple(tale.tests.values()),
            decision=tale.decision,
            taken_from=end.taken_from if end else None,
            stopping=tale.stopping,
            created_s=tale.created_s,
            left=tale.left,
        )
