"""The books of a run: where every step is, what has been told and ordered, what falls due. `Schedule` decides, this
writes down; nothing else moves a step.

Rule 1  Every step is finished exactly once; `left` counts those that are not.
Rule 2  Every launch has a turn of its own, so that an alarm which was set for another one is known to be late.
"""

from collections import Counter, deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from stepwave.core.events import (
    Begun,
    Deferred,
    Event,
    Exited,
    Held,
    Launch,
    LeaseAwaited,
    Leased,
    NewStep,
    Order,
    Outcome,
    StepFinished,
    StepLeftProcesses,
    StepLogCut,
    StepQueued,
    StepRetrying,
    StepsAdded,
    StepStarted,
    StepStopping,
    StepTested,
    Stop,
)
from stepwave.core.job import MOST_LOSSES
from stepwave.core.model import Stage, Step, StepType
from stepwave.core.plan import Plan
from stepwave.core.running.admission import Admission
from stepwave.core.running.alarms import Alarms, Due
from stepwave.core.running.memory import Memory, Prior
from stepwave.core.running.prepare import CannotPrepare, Preparation
from stepwave.core.running.track import Phase, Track

if TYPE_CHECKING:
    from stepwave.core.running.leases import LeasedAdmission


class Books:
    """`events` and `orders` wait to be fetched. `settled` holds the steps whose end nobody has looked at yet."""

    def __init__(
        self, plan: Plan, preparation: Preparation, memory: Memory | None = None, *, jobserver: bool = False
    ) -> None:
        self.plan = plan
        self.memory = memory
        self.preparation = preparation
        leases = jobserver or plan.workflow.host_pools or plan.workflow.rate_limit_host
        self.leases = self._leased_admission(jobserver=jobserver) if leases else None
        self.admission = self.leases or Admission(plan, plan.max_concurrency)
        self.alarms = Alarms()
        self.tracks = {
            id: Track(step, plan.wave_of[id], preparation.is_self_deciding(step)) for id, step in plan.steps.items()
        }
        self.left = len(self.tracks)
        self.stage_left = Counter(step.stage for step in plan.steps.values())
        self.dependents: dict[str, tuple[str, ...]] = dict(plan.dependents)
        self.completed: list[str] = []
        self.settled: deque[Track] = deque()
        self.now = 0.0
        self.last_start: float | None = None
        self.events: list[Event] = []
        self.orders: list[Order] = []

    def fetch(self) -> tuple[list[Event], list[Order]]:
        events, orders = self.events, self.orders
        self.events, self.orders = [], []
        return events, orders

    # --- what is not the run's own --------------------------------------------------------------------

    def _leased_admission(self, *, jobserver: bool) -> "LeasedAdmission":
        from stepwave.core.running.leases import LeasedAdmission

        return LeasedAdmission(self.plan, self.plan.max_concurrency, self._order, jobserver=jobserver)

    def _order(self, order: Order) -> None:
        self.orders.append(order)

    def answered(self, answer: Leased | Deferred) -> None:
        """What was said to a `Lease`."""
        assert self.leases is not None, "nobody else orders one"
        if isinstance(answer, Leased):
            self.leases.leased(answer.step)
            return
        if self.leases.deferred(answer):
            self.events.append(LeaseAwaited(answer.step, answer.lacks))
        if answer.retry_s is not None:
            turn = self.tracks[answer.step].turn
            self.alarms.set(self.now + answer.retry_s, Due.LEASE, answer.step, turn)

    def ask_again(self, id: str) -> None:
        if self.leases is not None:
            self.leases.ask_again(id)

    # --- a step's life ------------------------------------------------------------------------------

    def make_ready(self, track: Track) -> None:
        if track.attempts == 0:
            track.queued_at = self.now
            self.events.append(StepQueued(track.step.id))
        track.move(Phase.READY)
        self.admission.add(track.step)

    def take_over(self, track: Track) -> bool:
        """Whether an earlier success stands for the step, which has ended then."""
        step = track.step
        if self.memory is None or step.stage is not Stage.MAIN or step.type is not StepType.SCRIPT:
            return False
        if not self.memory.knows(step):
            return False
        try:
            launch, _ = self.preparation.launch(step, 1)
        except CannotPrepare:
            return False  # which is told when it starts
        untouched = not self._needs_are_touched(track)
        prior = self.memory.recall(step, launch, untouched=untouched, wants_output=self.preparation.keeps_output(step))
        if prior is None:
            return False
        track.last = Exited(step.id, 0, code=prior.exit_code, stdout=prior.stdout, stderr=prior.stderr)
        self.finish(track, Outcome.COMPLETED, None, passes=True, prior=prior)
        return True

    def _needs_are_touched(self, track: Track) -> bool:
        return any(self.tracks[need].touched for need in (track.whole or track).step.needs)

    def _is_touched(self, track: Track) -> bool:
        """Whether the step, or for one without a process anything before it, has run in this run."""
        if track.step.type is StepType.SCRIPT:
            return track.attempts > 0
        return any(part.touched for part in track.parts) or self._needs_are_touched(track)

    def begin_attempt(self, track: Track) -> None:
        track.move(Phase.RUNNING)
        if track.attempts == 0:
            track.queued_s = self.now - track.queued_at
        track.attempts += 1
        track.part = 0
        track.failed_tests = []
        track.started_at = self.now
        track.cause = None

    def tell_started(self, track: Track, launch: Launch | None = None, declared: object = None) -> None:
        """`launch` None: a step without a process, or one that could not be prepared."""
        step = track.step
        if launch is None:
            self.events.append(StepStarted(step.id, track.attempts, (), ""))
            return
        self.events.append(
            StepStarted(
                step.id,
                launch.attempt,
                launch.argv,
                launch.cwd,
                declared,  # type: ignore[arg-type]
                launch.log,
                launch.keep_output,
            )
        )

    def launch(self, track: Track, launch: Launch, timeout_s: float | None) -> None:
        """A command of the step, or one of its tests, is ordered to start."""
        self.orders.append(launch)
        self.launched(track, launch, timeout_s)

    def launched(self, track: Track, launch: Launch, timeout_s: float | None) -> None:
        """It starts at this moment, by an order that was given now or earlier."""
        track.turn += 1
        track.turned_at = self.now
        track.log, track.limit_s = launch.log, timeout_s
        if self.memory is not None and track.part == 0:
            self.memory.starts(track.step, launch)
        if timeout_s:
            self.alarms.set(self.now + timeout_s, Due.TIMEOUT, track.step.id, track.turn)

    def held(self, signal: Held | Begun) -> None:
        """What was launched has to wait where it was placed, or no longer: meanwhile it uses none of its time."""
        track = self.tracks[signal.step]
        if track.attempts == signal.attempt and track.phase is Phase.RUNNING and track.limit_s:
            track.turn += 1
            if isinstance(signal, Begun):
                self.alarms.set(self.now + track.limit_s, Due.TIMEOUT, track.step.id, track.turn)

    def learn_for_tests(self, track: Track) -> None:
        """The tests of a step may ask what its command has just brought; the step itself has not ended."""
        end = track.last
        brought = StepFinished(track.step.id, Outcome.COMPLETED, track.attempts, end.code if end else None)
        self.preparation.learn(track.step, brought, end)

    def tell_tested(self, track: Track, end: Exited, problem: str | None) -> None:
        """The test that is the present part of the step has ended; `problem`: why it did not pass."""
        test = track.step.tests[track.part - 1]
        if problem is not None:
            track.failed_tests.append(f"`{test.id}`: {problem}")
        seconds = self.now - track.turned_at
        self.events.append(
            StepTested(
                track.step.id,
                track.attempts,
                test.id,
                problem is None,
                problem,
                seconds,
                track.log if end.log_bytes else "",
                end.log_bytes,
            )
        )

    def retry_later(self, track: Track, delay_s: float, reason: str) -> None:
        end = (track.last.code, track.last.signal, track.last.usage) if track.last else ()
        self.events.append(StepRetrying(track.step.id, track.attempts, delay_s, reason, *end))
        track.move(Phase.RETRYING)
        track.last = None
        self.alarms.set(self.now + delay_s, Due.RETRY, track.step.id, track.turn)

    def tell_remains(self, end: Exited) -> None:
        """What an attempt has left behind, and what is not kept of what it printed."""
        if end.left:
            self.events.append(StepLeftProcesses(end.step, end.attempt, end.left))
        if end.dropped_bytes:
            self.events.append(StepLogCut(end.step, end.attempt, end.dropped_bytes))

    def try_lost_again(self, track: Track, end: Exited, *, halting: bool) -> bool:
        """Whether an attempt that was lost with its worker is followed by another, beside the step's own retries."""
        if end.stopped or halting or track.losses >= MOST_LOSSES:
            return False
        track.losses += 1
        track.last = end
        self.admission.give_back(end.step)
        self.retry_later(track, 0.0, end.problem or "its worker was lost")
        return True

    def stop(self, track: Track, outcome: Outcome, reason: str) -> None:
        """Ask the running step to end; its outcome will be this, unless it has ended by itself before that."""
        track.move(Phase.STOPPING)
        track.cause = (outcome, reason)
        rule = track.step.stop
        self.events.append(StepStopping(track.step.id, track.attempts, reason))
        self.orders.append(Stop(track.step.id, track.attempts, rule))
        self.alarms.set(self.now + rule.grace_s, Due.FORCE, track.step.id, track.turn)

    def force(self, track: Track) -> None:
        self.orders.append(Stop(track.step.id, track.attempts, track.step.stop, force=True))

    def finish(
        self,
        track: Track,
        outcome: Outcome,
        reason: str | None,
        *,
        passes: bool = False,
        tolerated: bool = False,
        prior: Prior | None = None,
    ) -> None:
        """`passes`: whoever needs the step may go on. `prior`: the earlier success that stands for it."""
        step, end = track.step, track.last
        if track.phase is Phase.READY:
            self.admission.remove(step.id)
        track.move(Phase.DONE)
        track.passes = passes
        track.outcome = outcome
        track.touched = self.memory is not None and self._is_touched(track)
        finished = StepFinished(
            step=step.id,
            outcome=outcome,
            attempts=track.attempts,
            exit_code=end.code if end else None,
            signal=end.signal if end else None,
            reason=reason,
            tolerated=tolerated,
            duration_s=self.now - track.started_at if track.attempts else 0.0,
            queued_s=track.queued_s,
            pid=end.pid if end else None,
            usage=end.usage if end else None,
            log_bytes=end.log_bytes if end else 0,
            stdout_bytes=end.stdout_bytes if end else 0,
            taken_from=prior.run if prior else None,
        )
        if self.memory is not None and (note := self.memory.ends(step, finished)):
            finished = finished._replace(reason=f"{reason}; {note}" if reason else note)
        self.events.append(finished)
        self.preparation.learn(step, finished, end, prior)
        track.last = None
        if outcome is Outcome.COMPLETED and step.undo is not None and step.type is not StepType.FAN_OUT:
            self.completed.append(step.id)
        self.left -= 1
        self.stage_left[step.stage] -= 1
        self.settled.append(track)

    # --- steps that are not in the file ---------------------------------------------------------------

    def add(self, steps: Iterable[Step], wave: int, after: Iterable[str], whole: Track | None = None) -> list[Track]:
        """The run grows. `after`: for each step the id that it is shown below; `whole`: what they are parts of."""
        made = [Track(step, wave, whole is not None and whole.self_deciding, added=True) for step in steps]
        for track in made:
            step = track.step
            track.whole = whole
            self.tracks[step.id] = track
            self.left += 1
            self.stage_left[step.stage] += 1
            self.dependents[step.id] = ()
            for need in step.needs:
                self.dependents[need] = (*self.dependents[need], step.id)
            self.admission.join(step, wave)
            self.preparation.join(step)
        if whole is not None:
            whole.parts, whole.parts_left = made, len(made)
        news = [_news(track, below) for track, below in zip(made, after, strict=True)]
        if news:
            self.events.append(StepsAdded(tuple(news)))
        return made


def _news(track: Track, after: str) -> NewStep:
    step = track.step
    return NewStep(step.id, step.name, after, track.wave, step.needs, step.resources, step.stage)


def stages_up_to(stage: Stage) -> frozenset[Stage]:
    """That stage and those before it."""
    reached = list(Stage)
    return frozenset(reached[: reached.index(stage) + 1])
