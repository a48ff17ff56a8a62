"""The state machine at the heart of a run: signals and numbers in, events and orders out.

It knows no process and no clock. Time comes in as seconds on any monotonic scale, so deadlines, retries and grace
periods are tested with numbers instead of sleeps.

Rule 1  Every step ends exactly once, with an outcome, whatever happens: pending steps of an ended run are reported too.
Rule 2  A slot and its pool units are given back only by `Exited`: when the last process of the attempt is gone.
Rule 3  An exit that has happened beats a deadline that has passed: only `Exited.stopped` makes a timeout a timeout.
Rule 4  Nothing starts once the run is stopping, except steps whose own condition asks for it (`always()`, `failure()`)
        and what cleans up (`CLEAN_UP`), whose turn comes when everything else has ended.
Rule 5  Waves are labels. The barrier of `scheduling: waves` is one predicate, `_is_open`.
Rule 6  A step that a condition names starts only once the condition has chosen it, whatever else is true of it.

What has gone wrong is `verdict.Verdict`; what an end means, `judge.py`; who is next, `admission.py`.
"""

from collections import Counter
from collections.abc import Mapping

from stepwave.core.events import (
    BY_BRANCH,
    BY_CONDITION,
    NO_EXECUTOR,
    NOT_SELECTED,
    Begun,
    Deferred,
    Event,
    Exited,
    Held,
    Interrupted,
    Leased,
    Measured,
    Order,
    Outcome,
    Resumed,
    Returned,
    RunFinished,
    RunStarted,
    Signal,
    Silent,
    StageStarted,
    StepDecided,
)
from stepwave.core.model import CLEAN_UP, FailurePolicy, Scheduling, Stage, StepType
from stepwave.core.plan import Plan
from stepwave.core.running.ahead import Ahead, may_go_ahead
from stepwave.core.running.alarms import Due
from stepwave.core.running.bell import Bell
from stepwave.core.running.books import Books, stages_up_to
from stepwave.core.running.breaker import Breakers
from stepwave.core.running.gates import Gates
from stepwave.core.running.judge import is_worth_another, judge, judge_test
from stepwave.core.running.memory import Memory
from stepwave.core.running.pace import Pace
from stepwave.core.running.prepare import CannotPrepare, Preparation
from stepwave.core.running.retry import retry_delay
from stepwave.core.running.stopping import PREVIOUS_FAILURE, Stopping
from stepwave.core.running.track import Phase, Track
from stepwave.core.running.verdict import Verdict
from stepwave.core.running.why import why
from stepwave.core.text import duration


class Schedule:
    """One run of one plan. `begin` once, then `handle` every signal, until `done`.

    With `skip_agents` a step whose agent nothing here can carry out is skipped, and has not failed. `cpus` are those
    of this machine, for an adaptive width. `memory` knows the successes of earlier runs. `measured` is what the machine
    has before the run; without it no step waits for memory, and with it every `Measure` must be answered. With
    `jobserver` steps take tokens of make; every `Lease` must be answered then, or where there are pools of the machine.
    """

    def __init__(
        self,
        plan: Plan,
        preparation: Preparation,
        *,
        deselected: frozenset[str] = frozenset(),
        strict: bool = False,
        skip_agents: bool = False,
        cpus: int = 1,
        memory: Memory | None = None,
        measured: Measured | None = None,
        jobserver: bool = False,
        ahead: bool = False,
    ) -> None:
        self.plan = plan
        self.done = False
        self._books = Books(plan, preparation, memory, jobserver=jobserver)
        self._tracks: Mapping[str, Track] = self._books.tracks
        self._preparation = preparation
        self._workflow = plan.workflow
        self._deselected = deselected
        self._skip_agents = skip_agents
        self._verdict = Verdict(strict=strict)
        self._stopping = Stopping(self._books, plan.workflow, self._verdict)
        free = ahead and measured is None and not jobserver and may_go_ahead(plan)
        self._ahead = Ahead(self._books, self._stopping) if free else None
        self._pace = Pace(self._books, plan.workflow, cpus, measured)
        self._bell = Bell(self._books, self._stopping, self._pace)
        self._breakers = Breakers(plan.workflow.breakers)
        self._gates = Gates(plan, deselected)
        self._stage = Stage.CHECK
        self._wave_left = [len(wave) for wave in plan.waves]
        self._open_wave = 0
        self._held: dict[int, list[Track]] = {}
        self._paused_s = 0.0

    # --- the door ---------------------------------------------------------------------------------

    def begin(self, now: float) -> tuple[list[Event], list[Order]]:
        books = self._books
        books.now = now
        books.events.append(
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
            books.alarms.set(now + self._workflow.timeout_s, Due.DEADLINE)
        self._pace.begin()
        for id in self.plan.steps:
            if id in self._deselected:
                books.finish(self._tracks[id], Outcome.SKIPPED, NOT_SELECTED, passes=True)
        self._open_stage()
        return self._go_on()

    def handle(self, signal: Signal, now: float) -> tuple[list[Event], list[Order]]:
        if isinstance(signal, Resumed):
            self._paused_s += signal.paused_s
        self._books.now = now - self._paused_s
        if isinstance(signal, Exited):
            self._exited(signal)
            if self._ahead is not None:
                self._ahead.ended(signal)
        elif isinstance(signal, Silent):
            self._silent(signal)
        elif isinstance(signal, Held | Begun):
            self._books.held(signal)
        elif isinstance(signal, Measured):
            self._pace.adapt(signal)
        elif isinstance(signal, Interrupted):
            self._stopping.interrupted(signal.number, self._stage)
        elif isinstance(signal, Leased | Deferred):
            self._books.answered(signal)
        elif isinstance(signal, Returned) and self._ahead is not None:
            self._ahead.returned(signal)
        return self._go_on()

    def look_ahead(self) -> list[Order]:
        """All signals of a turn have been handled: what can be decided before anybody needs it."""
        if self._ahead is not None and not self.done:
            self._ahead.look()
        return self._books.fetch()[1]

    @property
    def next_alarm(self) -> float | None:
        """When a `Tick` is wanted, on the scale of `now`; None: not before the next signal."""
        first = self._books.alarms.first
        return first.at + self._paused_s if first else None

    def phase(self, id: str) -> Phase:
        return self._tracks[id].phase

    def why(self, id: str) -> str:
        """Why the step is where it is, in a sentence."""
        return why(self._tracks[id], self._tracks, self._books.admission, self._stage)

    # --- the inner cycle ----------------------------------------------------------------------------

    def _go_on(self) -> tuple[list[Event], list[Order]]:
        books = self._books
        self._bell.ring(self._stage)
        self._settle()
        while books.stage_left[self._stage] == 0 and self._stage is not Stage.FINALLY:
            self._next_stage()
            self._settle()
        self._dispatch()
        self._pace.look()
        if books.left == 0 and not self.done:
            self.done = True
            books.events.append(RunFinished(*self._verdict.final()))
        return books.fetch()

    def _settle(self) -> None:
        """Let those know who waited for a step that is done; a loop, so that long chains do not recurse."""
        settled, dependents = self._books.settled, self._books.dependents
        while settled:
            track = settled.popleft()
            for id in dependents[track.step.id]:
                dependent = self._tracks[id]
                dependent.waiting -= 1
                if not track.passes:
                    dependent.bad_needs.append(track.step.id)
                elif track.cut:
                    dependent.cut_needs += 1
                if dependent.waiting == 0 and dependent.phase is Phase.PENDING:
                    self._consider(dependent)
            if track.whole is not None:
                track.whole.parts_left -= 1
                if not track.whole.parts_left:
                    self._gather(track.whole)
            if not track.added:
                self._open_waves(track.wave)

    def _open_waves(self, ended_in: int) -> None:
        self._wave_left[ended_in] -= 1
        while self._open_wave < len(self._wave_left) - 1 and self._wave_left[self._open_wave] == 0:
            self._open_wave += 1
            for track in self._held.pop(self._open_wave, ()):
                if track.phase is Phase.PENDING:
                    self._consider(track)

    def _is_open(self, track: Track) -> bool:
        return (
            self._workflow.scheduling is Scheduling.EAGER
            or not self._workflow.parallel
            or track.wave <= self._open_wave
            or track.added
        )

    def _dispatch(self) -> None:
        books = self._books
        while True:
            while books.admission.waiting and not self._pace.holds_back():
                id = books.admission.take()
                if id is None:
                    break
                self._pace.check_start(id)
                self._start(self._tracks[id])
                self._settle()
            # The last step of a stage may have ended here, without a process: then the next stage begins.
            if books.stage_left[self._stage] or self._stage is Stage.FINALLY:
                return
            self._next_stage()
            self._settle()

    # --- may it start? ------------------------------------------------------------------------------

    def _consider(self, track: Track) -> None:
        """Every need is done: is the step ready, skipped, or held back by the barrier?"""
        step = track.step
        if step.stage is not self._stage:
            return  # its time comes with its stage
        if not self._is_open(track):
            self._held.setdefault(track.wave, []).append(track)
        elif self._stopping.aborting and not track.self_deciding:
            self._books.finish(track, Outcome.SKIPPED, PREVIOUS_FAILURE)
        elif track.bad_needs and not track.self_deciding:
            self._books.finish(track, Outcome.SKIPPED, f"Dependencies failed: {', '.join(track.bad_needs)}")
        elif (track.cut_needs or step.id in self._gates) and self._gates.cuts_off(
            track, self._tracks, runs_always=self._preparation.runs_always(step)
        ):
            track.cut = True
            self._books.finish(track, Outcome.SKIPPED, BY_BRANCH, passes=True)
        elif self._skip_agents and step.type is StepType.AGENT:
            self._books.finish(track, Outcome.SKIPPED, NO_EXECUTOR, passes=True)
        elif step.condition is None:
            self._admit(track)
        else:
            self._decide(track)

    def _admit(self, track: Track) -> None:
        """Ready, unless an earlier success stands for it."""
        if not self._books.take_over(track):
            self._books.make_ready(track)

    def _decide(self, track: Track) -> None:
        try:
            holds = self._preparation.condition_holds(track.step, failed=self._has_failed(track))
        except CannotPrepare as problem:
            self._fail(track, Outcome.FAILED, f"its condition cannot be evaluated: {problem}", again=False)
            return
        if holds:
            self._admit(track)
        else:
            self._books.finish(track, Outcome.SKIPPED, BY_CONDITION, passes=True)

    def _has_failed(self, track: Track) -> bool:
        """What `failure()` says to this step: a need of it failed, or anything, where it has none or cleans up."""
        asks_all = not track.step.needs or track.step.stage in CLEAN_UP
        return bool(track.bad_needs) or (asks_all and not self._verdict.is_good)

    # --- a step's life ------------------------------------------------------------------------------

    def _start(self, track: Track) -> None:
        books, step = self._books, track.step
        books.begin_attempt(track)
        if step.type is not StepType.SCRIPT:
            books.tell_started(track)
            books.admission.give_back(step.id)
            self._run_inside(track)
            return
        try:
            launch, declared = self._preparation.launch(step, track.attempts)
        except CannotPrepare as problem:
            books.tell_started(track)
            books.admission.give_back(step.id)
            self._fail(track, Outcome.FAILED, str(problem), again=False)
            return
        books.last_start = books.now
        books.tell_started(track, launch, declared)
        books.launch(track, launch, step.timeout_s)
        if self._ahead is not None:
            self._ahead.started(track)

    def _run_inside(self, track: Track) -> None:
        """A step without a process of its own."""
        step = track.step
        if step.type is StepType.CONDITION:
            self._choose(track)
        elif step.type is StepType.FAN_OUT:
            self._fan_out(track)
        elif step.agent is not None:
            self._fail(track, Outcome.FAILED, f"no executor for agent '{step.agent.name}'", again=False)
        else:
            self._books.finish(track, Outcome.COMPLETED, None, passes=True)

    def _choose(self, track: Track) -> None:
        """A condition step gives its answer; those it names wait for it."""
        step, branch, error = track.step, track.step.branch, None
        assert branch is not None
        try:
            holds = self._preparation.rule_holds(step, failed=self._has_failed(track))
        except CannotPrepare as problem:
            if not branch.lenient:
                self._fail(track, Outcome.FAILED, f"Condition execution failed: {problem}", again=False)
                return
            holds, error = False, str(problem)
        chosen = branch.on_true if holds else branch.on_false
        self._gates.choose(step.id, chosen)
        decided = StepDecided(step.id, holds, chosen, error)
        self._books.events.append(decided)
        self._preparation.learn_decision(decided)
        self._books.finish(track, Outcome.COMPLETED, None, passes=True)

    def _fan_out(self, track: Track) -> None:
        """A `forEach` whose list is known now becomes its parts, and ends with the last of them."""
        from stepwave.core.running.fanout import parts

        try:
            steps = parts(track.step, self._preparation.items(track.step))
        except CannotPrepare as problem:
            self._fail(track, Outcome.FAILED, str(problem), again=False)
            return
        if not steps:
            self._books.finish(track, Outcome.COMPLETED, None, passes=True)
            return
        track.move(Phase.GATHERING)
        for part in self._books.add(steps, track.wave, [track.step.id] * len(steps), track):
            self._admit(part)

    def _gather(self, whole: Track) -> None:
        """Once all its parts have ended, so has the step."""
        from stepwave.core.running.fanout import gathered

        outcome, reason = gathered(whole.parts)
        self._books.finish(whole, outcome, reason, passes=reason is None)

    def _exited(self, end: Exited) -> None:
        track = self._tracks[end.step]
        if track.attempts != end.attempt or track.phase not in (Phase.RUNNING, Phase.STOPPING):
            return  # an answer to an attempt that was given up
        self._books.tell_remains(end)
        if end.lost and self._books.try_lost_again(track, end, halting=self._stopping.halting):
            return
        if end.stopped and track.cause:
            outcome, reason = track.cause
        else:
            outcome, reason = judge(track.step, end) if track.part == 0 else judge_test(end)
        if track.part == 0:
            track.last = end
        if track.step.tests and not (outcome is not Outcome.COMPLETED and track.part == 0):
            went = self._tested(track, end, outcome, reason)
            if went is None:
                return
            outcome, reason = went
        self._books.admission.give_back(end.step)
        if outcome is Outcome.COMPLETED:
            self._books.finish(track, outcome, None, passes=True)
        elif outcome is Outcome.CANCELLED:
            self._books.finish(track, outcome, reason)
        else:
            self._fail(track, outcome, reason)

    def _tested(self, track: Track, end: Exited, outcome: Outcome, reason: str) -> tuple[Outcome, str] | None:
        """A step with tests: its command has completed, or one of them ended. None: the next one has been started."""
        if track.part:
            self._books.tell_tested(track, end, None if outcome is Outcome.COMPLETED else reason)
        over = track.part == len(track.step.tests)
        if track.phase is Phase.STOPPING and track.cause and (end.stopped or not over):
            return track.cause  # what is left of its tests is not begun
        if not over:
            return self._next_test(track)
        if track.failed_tests:
            return Outcome.FAILED, f"acceptance test {', '.join(track.failed_tests)}"
        return Outcome.COMPLETED, ""

    def _next_test(self, track: Track) -> tuple[Outcome, str] | None:
        step, test = track.step, track.step.tests[track.part]
        if track.part == 0:
            self._books.learn_for_tests(track)
        track.part += 1
        try:
            launch = self._preparation.launch_test(step, track.part, track.attempts)
        except CannotPrepare as problem:
            return Outcome.FAILED, f"acceptance test `{test.id}`: {problem}"
        self._books.launch(track, launch, step.timeout_s if test.timeout_s is None else test.timeout_s)
        return None

    def _fail(self, track: Track, outcome: Outcome, reason: str, *, again: bool = True) -> None:
        """A failed attempt: another one if there is one left, else the failure and what it means for the rest."""
        step = track.step
        opens = bool(step.breaker) and track.attempts > 0 and self._breakers.failed(step.breaker)
        if again and track.attempts - track.losses < step.retry.attempts and self._may_go_on(track, outcome, reason):
            self._books.retry_later(track, retry_delay(step.retry, track.attempts, step.id), reason)
            return
        tolerated = step.continue_on_error
        policy = step.on_failure or self._workflow.on_failure
        passes = tolerated or policy is FailurePolicy.CONTINUE or step.stage is Stage.ROLLBACK
        self._books.finish(track, outcome, reason, passes=passes, tolerated=tolerated)
        if opens:
            self._stopping.open_breaker(step.breaker, self._breakers.failures(step.breaker))
        if tolerated:
            self._verdict.tolerated += 1
            return
        self._verdict.failed.append(step.id)
        if not step.isolate_errors:
            self._stopping.siblings(track)
        if step.stage is Stage.CHECK or (policy is FailurePolicy.ABORT and step.stage not in CLEAN_UP):
            self._stopping.abort(track)

    def _may_go_on(self, track: Track, outcome: Outcome, reason: str) -> bool:
        """Whether a failed attempt is followed by another one, as far as attempts are left."""
        if self._stopping.halting or self._breakers.is_open(track.step.breaker):
            return False
        if track.errors is None:
            track.errors = Counter()
        return is_worth_another(track.step.retry, outcome, reason, track.last, track.errors)

    def _silent(self, signal: Silent) -> None:
        track = self._tracks[signal.step]
        if track.attempts == signal.attempt and track.phase is Phase.RUNNING:
            idle = duration(track.step.idle_s or 0.0)
            self._books.stop(track, Outcome.TIMEOUT, f"timed out: it printed nothing for {idle}")

    # --- the parts of a run ---------------------------------------------------------------------------

    def _next_stage(self) -> None:
        stages = list(Stage)
        self._stage = stages[stages.index(self._stage) + 1]
        if self._stage is Stage.ROLLBACK and not self._verdict.is_good:
            self._roll_back()
        if self._books.stage_left[self._stage]:
            self._open_stage()

    def _open_stage(self) -> None:
        """Those who need nothing within the stage begin it."""
        if self._stage in CLEAN_UP:
            self._stopping.relent()
            self._preparation.learn_status(self._verdict.final()[0].value)
        tracks = [t for t in self._tracks.values() if t.step.stage is self._stage and t.phase is Phase.PENDING]
        if self._stage is Stage.ACCEPT and not self._verdict.is_good:
            for track in tracks:
                self._books.finish(track, Outcome.SKIPPED, PREVIOUS_FAILURE)
            return
        if self._stage is not Stage.MAIN and tracks:
            self._books.events.append(StageStarted(self._stage, tuple(track.step.id for track in tracks)))
        for track in tracks:
            if track.waiting == 0 and track.phase is Phase.PENDING:
                self._consider(track)

    def _roll_back(self) -> None:
        """What has completed and knows how to undo itself is undone."""
        from stepwave.core.running.rollback import undo_steps

        completed = [self._tracks[id].step for id in self._books.completed]
        steps = undo_steps(completed, parallel=self._workflow.rollback_parallel)
        before = stages_up_to(Stage.ACCEPT)
        wave = max((track.wave for track in self._tracks.values() if track.step.stage in before), default=-1) + 1
        self._books.add(steps, wave, [step.id for step in reversed(completed)])
