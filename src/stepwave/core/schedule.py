"""The state machine at the heart of a run: signals and numbers in, events and orders out.

It knows no process and no clock. Time comes in as seconds on any monotonic scale, so deadlines, retries and grace
periods are tested with numbers instead of sleeps.

Rule 1  Every step ends exactly once, with an outcome, whatever happens: pending steps of an ended run are reported too.
Rule 2  A slot and its pool units are given back only by `Exited`: when the last process of the attempt is gone.
Rule 3  An exit that has happened beats a deadline that has passed: only `Exited.stopped` makes a timeout a timeout.
Rule 4  Nothing starts once the run is stopping, except steps whose own condition asks for it (`always()`, `failure()`).
Rule 5  Waves are labels. The barrier of `scheduling: waves` is one predicate, `_is_open`.
"""

from collections import deque

from stepwave.core.admission import Admission
from stepwave.core.alarms import Alarm, Alarms, Due
from stepwave.core.events import (
    BY_CONDITION,
    NOT_SELECTED,
    Event,
    Exited,
    Interrupted,
    Order,
    Outcome,
    Resumed,
    RunFinished,
    RunStarted,
    RunStopping,
    Signal,
    Status,
    StepFinished,
    StepLeftProcesses,
    StepQueued,
    StepRetrying,
    StepStarted,
    StepStopping,
    Stop,
)
from stepwave.core.model import FailurePolicy, Scheduling, StepType
from stepwave.core.plan import Plan
from stepwave.core.prepare import CannotPrepare, Preparation
from stepwave.core.retry import retry_delay
from stepwave.core.text import duration, signal_name
from stepwave.core.track import Phase, Track

_cancelled = "cancelled"
_previous_failure = "Skipped due to previous failure"


class Schedule:
    """One run of one plan. `begin` once, then `handle` every signal, until `done`."""

    def __init__(
        self,
        plan: Plan,
        preparation: Preparation,
        *,
        deselected: frozenset[str] = frozenset(),
        strict: bool = False,
    ) -> None:
        self.plan = plan
        self.done = False
        self._preparation = preparation
        self._deselected = deselected
        self._strict = strict
        self._workflow = plan.workflow
        self._admission = Admission(plan, plan.max_concurrency)
        self._tracks = {
            id: Track(step, len(step.needs), preparation.is_self_deciding(step)) for id, step in plan.steps.items()
        }
        self._wave_left = [len(wave) for wave in plan.waves]
        self._open_wave = 0
        self._held: dict[int, list[Track]] = {}
        self._settled: deque[Track] = deque()
        self._left = len(self._tracks)
        self._alarms = Alarms()
        self._paused_s = 0.0
        self._now = 0.0
        self._last_start: float | None = None
        self._gap_alarm = False
        self._aborting = False
        self._stop_reason: str | None = None
        self._interrupt: int | None = None
        self._timed_out = False
        self._failed: list[str] = []
        self._tolerated = 0
        self._events: list[Event] = []
        self._orders: list[Order] = []

    # --- the door ---------------------------------------------------------------------------------

    def begin(self, now: float) -> tuple[list[Event], list[Order]]:
        self._now = now
        self._events.append(
            RunStarted(
                workflow=self._workflow.id,
                name=self._workflow.name or self._workflow.id,
                waves=self.plan.waves,
                dependencies=self.plan.dependencies,
                max_concurrency=self.plan.max_concurrency,
                pools=dict(self._workflow.pools),
            )
        )
        if self._workflow.timeout_s:
            self._alarms.set(now + self._workflow.timeout_s, Due.DEADLINE)
        for id in self.plan.steps:
            if id in self._deselected:
                self._finish(self._tracks[id], Outcome.SKIPPED, NOT_SELECTED, passes=True)
        for track in self._tracks.values():
            if track.waiting == 0 and track.phase is Phase.PENDING:
                self._consider(track)
        return self._go_on()

    def handle(self, signal: Signal, now: float) -> tuple[list[Event], list[Order]]:
        if isinstance(signal, Resumed):
            self._paused_s += signal.paused_s
        self._now = now - self._paused_s
        if isinstance(signal, Exited):
            self._exited(signal)
        elif isinstance(signal, Interrupted):
            self._interrupted(signal.number)
        return self._go_on()

    @property
    def next_alarm(self) -> float | None:
        """When a `Tick` is wanted, on the scale of `now`; None: not before the next signal."""
        first = self._alarms.first
        return first.at + self._paused_s if first else None

    def phase(self, id: str) -> Phase:
        return self._tracks[id].phase

    def why(self, id: str) -> str:
        """Why the step is where it is, in a sentence."""
        track = self._tracks[id]
        if track.phase is Phase.PENDING:
            open_needs = [n for n in track.step.needs if self._tracks[n].phase is not Phase.DONE]
            if open_needs:
                return f"`{id}` waits for {', '.join(f'`{need}`' for need in open_needs)}"
            return f"`{id}` waits for the waves before it"
        if track.phase is Phase.READY:
            return f"`{id}` is ready and waits: {self._admission.why_waiting(id)}"
        if track.phase is Phase.RETRYING:
            return f"`{id}` waits for attempt {track.attempts + 1} of {track.step.retry.attempts}"
        if track.phase is Phase.DONE:
            return f"`{id}` has ended"
        return f"`{id}` is {track.phase.value}"

    # --- the inner cycle ----------------------------------------------------------------------------

    def _go_on(self) -> tuple[list[Event], list[Order]]:
        self._ring()
        self._settle()
        self._dispatch()
        if self._left == 0 and not self.done:
            self._end()
        events, orders = self._events, self._orders
        self._events, self._orders = [], []
        return events, orders

    def _settle(self) -> None:
        """Let those know who waited for a step that is done; a loop, so that long chains do not recurse."""
        while self._settled:
            track = self._settled.popleft()
            for id in self.plan.dependents[track.step.id]:
                dependent = self._tracks[id]
                dependent.waiting -= 1
                if not track.passes:
                    dependent.bad_needs.append(track.step.id)
                if dependent.waiting == 0 and dependent.phase is Phase.PENDING:
                    self._consider(dependent)
            self._open_waves(self.plan.wave_of[track.step.id])

    def _open_waves(self, ended_in: int) -> None:
        self._wave_left[ended_in] -= 1
        while self._open_wave < len(self._wave_left) - 1 and self._wave_left[self._open_wave] == 0:
            self._open_wave += 1
            for track in self._held.pop(self._open_wave, ()):
                if track.phase is Phase.PENDING:
                    self._consider(track)

    def _is_open(self, id: str) -> bool:
        return (
            self._workflow.scheduling is Scheduling.EAGER
            or not self._workflow.parallel
            or self.plan.wave_of[id] <= self._open_wave
        )

    def _consider(self, track: Track) -> None:
        """Every need is done: is the step ready, skipped, or held back by the barrier?"""
        step = track.step
        if not self._is_open(step.id):
            self._held.setdefault(self.plan.wave_of[step.id], []).append(track)
        elif self._aborting and not track.self_deciding:
            self._finish(track, Outcome.SKIPPED, _previous_failure)
        elif track.bad_needs and not track.self_deciding:
            self._finish(track, Outcome.SKIPPED, f"Dependencies failed: {', '.join(track.bad_needs)}")
        elif step.condition is None:
            self._make_ready(track)
        else:
            self._decide(track)

    def _decide(self, track: Track) -> None:
        failed = bool(track.bad_needs) or (not track.step.needs and bool(self._failed))
        try:
            holds = self._preparation.condition_holds(track.step, failed=failed)
        except CannotPrepare as problem:
            self._fail(track, Outcome.FAILED, f"its condition cannot be evaluated: {problem}", again=False)
            return
        if holds:
            self._make_ready(track)
        else:
            self._finish(track, Outcome.SKIPPED, BY_CONDITION, passes=True)

    def _make_ready(self, track: Track) -> None:
        if track.attempts == 0:
            track.queued_at = self._now
            self._events.append(StepQueued(track.step.id))
        track.move(Phase.READY)
        self._admission.add(track.step.id)

    def _dispatch(self) -> None:
        while self._admission.waiting and not self._held_by_rate():
            id = self._admission.take()
            if id is None:
                break
            self._start(self._tracks[id])
            self._settle()

    def _held_by_rate(self) -> bool:
        """True while the gap of `rate_limit_delay` since the last start is not over; an alarm ends it."""
        gap = self._workflow.rate_limit_s
        if not gap or self._last_start is None or self._now >= self._last_start + gap:
            return False
        if not self._gap_alarm:
            self._gap_alarm = True
            self._alarms.set(self._last_start + gap, Due.GAP)
        return True

    # --- a step's life ------------------------------------------------------------------------------

    def _start(self, track: Track) -> None:
        step = track.step
        track.move(Phase.RUNNING)
        if track.attempts == 0:
            track.queued_s = self._now - track.queued_at
        track.attempts += 1
        track.started_at = self._now
        track.cause = None
        if step.type is not StepType.SCRIPT:
            self._events.append(StepStarted(step.id, track.attempts, (), ""))
            self._run_inside(track)
            return
        try:
            launch, declared = self._preparation.launch(step, track.attempts)
        except CannotPrepare as problem:
            self._events.append(StepStarted(step.id, track.attempts, (), ""))
            self._admission.give_back(step.id)
            self._fail(track, Outcome.FAILED, str(problem), again=False)
            return
        self._last_start = self._now
        self._events.append(
            StepStarted(step.id, launch.attempt, launch.argv, launch.cwd, declared, launch.log, launch.keep_output)
        )
        self._orders.append(launch)
        if step.timeout_s:
            self._alarms.set(self._now + step.timeout_s, Due.TIMEOUT, step.id, track.attempts)

    def _run_inside(self, track: Track) -> None:
        """A step without a process of its own ends as soon as it starts."""
        self._admission.give_back(track.step.id)
        if track.step.type is StepType.AGENT:
            self._fail(track, Outcome.FAILED, f"no executor for agent '{track.step.agent}'", again=False)
        else:
            self._finish(track, Outcome.COMPLETED, None, passes=True)

    def _exited(self, end: Exited) -> None:
        track = self._tracks[end.step]
        if track.attempts != end.attempt or track.phase not in (Phase.RUNNING, Phase.STOPPING):
            return  # an answer to an attempt that was given up
        self._admission.give_back(end.step)
        track.last = end
        if end.left:
            self._events.append(StepLeftProcesses(end.step, end.attempt, end.left))
        outcome, reason = self._judge(track, end)
        if outcome is Outcome.COMPLETED:
            self._finish(track, outcome, None, passes=True)
        elif outcome is Outcome.CANCELLED:
            self._finish(track, outcome, reason)
        else:
            self._fail(track, outcome, reason)

    def _judge(self, track: Track, end: Exited) -> tuple[Outcome, str]:
        if end.stopped and track.cause:
            return track.cause
        if end.problem is not None:
            return Outcome.FAILED, end.problem
        if end.signal is not None:
            return Outcome.FAILED, f"killed by {signal_name(end.signal)}"
        if end.code in track.step.allowed_exit_codes:
            return Outcome.COMPLETED, ""
        return Outcome.FAILED, f"exit code {end.code}"

    def _fail(self, track: Track, outcome: Outcome, reason: str, *, again: bool = True) -> None:
        """A failed attempt: another one if there is one left, else the failure and what it means for the rest."""
        if again and track.attempts < track.step.retry.attempts and not self._is_stopping:
            delay_s = retry_delay(track.step.retry, track.attempts, track.step.id)
            self._events.append(StepRetrying(track.step.id, track.attempts, delay_s, reason))
            track.move(Phase.RETRYING)
            self._alarms.set(self._now + delay_s, Due.RETRY, track.step.id, track.attempts)
            return
        tolerated = track.step.continue_on_error
        policy = track.step.on_failure or self._workflow.on_failure
        passes = tolerated or policy is FailurePolicy.CONTINUE
        self._finish(track, outcome, reason, passes=passes, tolerated=tolerated)
        if tolerated:
            self._tolerated += 1
            return
        self._failed.append(track.step.id)
        if not track.step.isolate_errors:
            self._stop_siblings(track)
        if policy is FailurePolicy.ABORT:
            self._abort(track.step.id)

    def _finish(
        self,
        track: Track,
        outcome: Outcome,
        reason: str | None,
        *,
        passes: bool = False,
        tolerated: bool = False,
    ) -> None:
        if track.phase is Phase.READY:
            self._admission.remove(track.step.id)
        started = track.attempts > 0
        end = track.last
        track.move(Phase.DONE)
        track.passes = passes
        finished = StepFinished(
            step=track.step.id,
            outcome=outcome,
            attempts=track.attempts,
            exit_code=end.code if end else None,
            signal=end.signal if end else None,
            reason=reason,
            tolerated=tolerated,
            duration_s=self._now - track.started_at if started else 0.0,
            queued_s=track.queued_s,
            pid=end.pid if end else None,
            usage=end.usage if end else None,
            log_bytes=end.log_bytes if end else 0,
            stdout_bytes=end.stdout_bytes if end else 0,
        )
        self._events.append(finished)
        self._preparation.learn(finished, end)
        track.last = None
        self._left -= 1
        self._settled.append(track)

    # --- stopping -----------------------------------------------------------------------------------

    @property
    def _is_stopping(self) -> bool:
        return self._aborting or self._interrupt is not None or self._timed_out

    def _stop(self, track: Track, outcome: Outcome, reason: str) -> None:
        track.move(Phase.STOPPING)
        track.cause = (outcome, reason)
        rule = track.step.stop
        self._events.append(StepStopping(track.step.id, track.attempts, reason))
        self._orders.append(Stop(track.step.id, track.attempts, rule))
        self._alarms.set(self._now + rule.grace_s, Due.FORCE, track.step.id, track.attempts)

    def _stop_siblings(self, failed: Track) -> None:
        """isolateErrors: false. Same wave: what runs is cancelled, what waits is skipped, shielded steps go on."""
        reason = f"sibling_failed:{failed.step.id}"
        for id in self.plan.waves[self.plan.wave_of[failed.step.id]]:
            track = self._tracks[id]
            if track.step.shielded or track.self_deciding:
                continue
            if track.phase is Phase.RUNNING:
                self._stop(track, Outcome.CANCELLED, reason)
            elif track.phase is Phase.RETRYING:
                self._finish(track, Outcome.CANCELLED, reason)
            elif track.phase in (Phase.PENDING, Phase.READY):
                self._finish(track, Outcome.SKIPPED, reason)

    def _abort(self, failed: str) -> None:
        """Start nothing new, let running steps finish; what never started is skipped."""
        if self._is_stopping:
            return
        self._aborting = True
        if self._left:
            self._say_stopping(f"step `{failed}` failed")
        for track in self._tracks.values():
            if track.phase is Phase.RETRYING:
                self._fail(track, Outcome.FAILED, "failed, and not tried again because the run is stopping")
            elif track.phase in (Phase.PENDING, Phase.READY) and not track.self_deciding:
                self._finish(track, Outcome.SKIPPED, _previous_failure)

    def _interrupted(self, number: int) -> None:
        if self._interrupt is not None:
            for track in self._tracks.values():
                if track.phase in (Phase.RUNNING, Phase.STOPPING):
                    self._force(track)
            return
        self._interrupt = number
        self._say_stopping(f"interrupted ({signal_name(number)})")
        self._cancel_all(Outcome.CANCELLED, f"{_cancelled} ({signal_name(number)})")

    def _run_out_of_time(self) -> None:
        if self._interrupt is not None or self._timed_out:
            return
        self._timed_out = True
        reason = f"workflow timed out after {duration(self._workflow.timeout_s or 0.0)}"
        self._say_stopping(reason)
        self._cancel_all(Outcome.TIMEOUT, reason)

    def _cancel_all(self, running: Outcome, reason: str) -> None:
        for track in self._tracks.values():
            if track.phase is Phase.RUNNING:
                self._stop(track, running, reason)
            elif track.phase not in (Phase.STOPPING, Phase.DONE):
                self._finish(track, Outcome.CANCELLED, _cancelled)

    def _say_stopping(self, reason: str) -> None:
        self._stop_reason = reason
        self._events.append(RunStopping(reason))

    def _force(self, track: Track) -> None:
        self._orders.append(Stop(track.step.id, track.attempts, track.step.stop, force=True))

    # --- time ---------------------------------------------------------------------------------------

    def _ring(self) -> None:
        while (alarm := self._alarms.first) and alarm.at <= self._now:
            self._alarms.drop()
            if alarm.due is Due.DEADLINE:
                self._run_out_of_time()
            elif alarm.due is Due.GAP:
                self._gap_alarm = False
            else:
                self._fall_due(alarm, self._tracks[alarm.step])
        # One whose step has ended is dropped early, so that the run does not wake up for nothing.
        while (alarm := self._alarms.first) and alarm.step and self._tracks[alarm.step].phase is Phase.DONE:
            self._alarms.drop()

    def _fall_due(self, alarm: Alarm, track: Track) -> None:
        if track.attempts != alarm.attempt:
            return
        if alarm.due is Due.TIMEOUT and track.phase is Phase.RUNNING:
            self._stop(track, Outcome.TIMEOUT, f"timed out after {duration(track.step.timeout_s or 0.0)}")
        elif alarm.due is Due.FORCE and track.phase is Phase.STOPPING:
            self._force(track)
        elif alarm.due is Due.RETRY and track.phase is Phase.RETRYING:
            self._make_ready(track)

    # --- the end ------------------------------------------------------------------------------------

    def _end(self) -> None:
        self.done = True
        status, code, reason = self._verdict()
        self._events.append(RunFinished(status, code, reason))

    def _verdict(self) -> tuple[Status, int, str | None]:
        if self._interrupt is not None:
            return Status.CANCELLED, 128 + self._interrupt, self._stop_reason
        if self._timed_out:
            return Status.TIMEOUT, 124, self._stop_reason
        if self._failed:
            return Status.FAILED, 1, f"Failed steps: {', '.join(self._failed)}"
        if self._strict and self._tolerated:
            return Status.FAILED, 1, f"{self._tolerated} tolerated failure(s), and --strict tolerates none"
        return Status.COMPLETED, 0, None
