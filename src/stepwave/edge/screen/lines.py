"""Plain lines: what a run says where no live board can be, a line for each thing that has happened.

Rule 1: nothing here raises, or holds up the run. A stream that is gone mutes this listener; one that is not
        read for a while gets its lines later, from a bounded backlog.
Rule 2: what is said stays bounded. Of many steps only trouble and every tenth of the progress is told.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from stepwave.core.events import (
    BY_CONDITION,
    BreakerOpened,
    Entry,
    Event,
    LeaseAwaited,
    MemoryShort,
    NewStep,
    Outcome,
    RunFinished,
    RunStarted,
    RunStopping,
    StageStarted,
    Status,
    StepDecided,
    StepFinished,
    StepLeftProcesses,
    StepLogCut,
    StepQueued,
    StepRetrying,
    StepsAdded,
    StepStarted,
    StepTested,
    WidthChanged,
    older_log,
)
from stepwave.core.model import Dialect, Stage, Step, StepType
from stepwave.core.plan import Plan
from stepwave.core.telling.endings import breaker_words, decision_words, ending, mark
from stepwave.core.telling.pasting import paste
from stepwave.core.telling.style import Role, Style
from stepwave.core.telling.wording import lease_words, memory_words, name_of_test
from stepwave.core.text import duration, plural, size_of
from stepwave.edge.screen.logs import end_of
from stepwave.edge.screen.outlet import Outlet

if TYPE_CHECKING:
    from stepwave.core.telling.exporting.sections import Fold

MANY_STEPS = 200
"""Of more steps than this, starts and successes are told with `verbose` only."""
TESTS_NAMED = 100
"""Of more tests than this, only those that failed are named in the end."""
SKIPS_IN_A_ROW = 20
"""Further steps skipped in a row for the same reason are counted, not named."""
TAIL_LINES = 50
"""So much of a step's output is repeated with `verbose`; all of it is in its log."""
FOLDED_LINES = 500
"""So much of it where it is folded together."""
_TAIL_BYTES = 64 * 1024


class Lines:
    """A listener that writes to `stream`, each line at once.

    `quiet`: failures only. `verbose`: commands, queue times, and the end of each step's output, read from its
    log in `folder`, the run's (None: it has none). `patience_s`: how long `close` waits for a reader. `fold`: how a CI
    system folds what a step printed together; then that of failed steps is told without `verbose`, too.
    """

    refresh_s: float | None = 1.0

    def __init__(
        self,
        plan: Plan,
        folder: Path | None,
        stream: TextIO,
        style: Style,
        verbose: bool = False,
        quiet: bool = False,
        *,
        patience_s: float = 10.0,
        fold: "Fold | None" = None,
    ) -> None:
        self._plan = plan
        self._style = style
        self._verbose = verbose
        self._quiet = quiet
        self._folder = folder
        self._patience_s = patience_s
        self._fold = fold
        self._at = 0.0
        self._outlet = Outlet(stream)
        self._total = len(plan.steps)
        self._few = self._total <= MANY_STEPS or verbose
        self._done = 0
        self._failed = 0
        self._told_tenths = 0
        self._skips: tuple[str, int] = ("", 0)
        self._logs: dict[str, str] = {}
        self._steps: dict[str, Step] = dict(plan.steps)
        self._tests: dict[str, list[StepTested]] = {}
        self._accepting: dict[str, bool | None] = {}
        self._is_announced = True
        self._how = ""

    def see(self, entry: Entry) -> None:
        """Tell of the event. Never raises for what the stream does."""
        self._at = entry.at
        event = entry.event
        if isinstance(event, StepStarted):
            self._announce(event.step)
            self._step_started(event)
        elif isinstance(event, StepFinished):
            if event.reason == BY_CONDITION:
                self._announce(event.step)
            self._step_finished(event, entry.elapsed_s)
        elif isinstance(event, RunStarted):
            self._run_started(event)
        elif isinstance(event, RunFinished):
            self._run_finished(event)
        elif not isinstance(event, StepQueued):
            self._note(event)

    def refresh(self) -> None:
        """Offer what is held back to the stream once more."""
        self._outlet.pump()

    def pause(self) -> None:
        """Nothing on the terminal that would have to go."""

    def close(self) -> None:
        """Say what is held back. Waits for a reader up to the given patience, and no longer."""
        self._count_skips()
        self._outlet.drain(self._patience_s)

    # --- one method for each thing that happens

    def _run_started(self, event: RunStarted) -> None:
        if self._quiet:
            return
        ok = self._style.paint(self._style.ok, Role.OK)
        dependencies = plural(event.dependencies, "dependency")
        self._how = "in parallel" if event.max_concurrency > 1 else "one at a time"
        is_workstream = self._plan.workflow.dialect is Dialect.SNAKE
        what = "workstream" if is_workstream else "workflow"
        self._say(f"{ok} Loading {what}: {self._style.word(event.name or event.workflow)}")
        if is_workstream:
            self._say(f"{ok} Validating schema")
            self._say(f"{ok} Checking file scope conflicts")
        self._say(f"{ok} Building dependency graph ({plural(self._total, 'step')}, {dependencies})")
        self._say(f"{ok} Initializing worker pool (max_workers={event.max_concurrency})")
        self._is_announced = not any(step.stage is Stage.CHECK for step in self._plan.steps.values())
        if self._is_announced:
            self._head(f"Executing steps {self._how}:")

    def _announce(self, id: str) -> None:
        """After checks: before the first step of the run proper."""
        if self._is_announced:
            return
        step = self._steps.get(id)
        if step is not None and step.stage is Stage.MAIN:
            self._is_announced = True
            self._head(f"Executing steps {self._how}:")

    def _head(self, words: str) -> None:
        """A part of the run begins."""
        self._count_skips()
        if not self._quiet:
            self._say("")
            self._say(f"{self._style.paint(self._style.spin, Role.ACCENT)} {words}")

    def _stage_started(self, event: StageStarted) -> None:
        count = len(event.steps)
        if event.stage is Stage.CHECK:
            self._head(f"Running pre-flight checks ({count}):")
        elif event.stage is Stage.ACCEPT:
            self._accepting = dict.fromkeys(event.steps)
            self._head(f"Running acceptance tests ({count}):")
        elif event.stage is Stage.ROLLBACK:
            self._head(f"Rolling back {plural(count, 'step')}:")
        else:
            self._head(f"Finally ({plural(count, 'step')}):")

    def _step_started(self, event: StepStarted) -> None:
        if self._verbose or self._fold:
            self._logs[event.step] = event.log
        step = self._steps.get(event.step)
        # What these do is told as it happens: an answer, or the steps that they become.
        is_brief = step is not None and step.type in (StepType.CONDITION, StepType.FAN_OUT)
        if self._quiet or not self._few or event.attempt > 1 or is_brief:
            return
        self._tell(self._style.arrow, Role.ACCENT, event.step, "Starting...")
        if self._verbose and event.argv:
            own = {**self._plan.workflow.env, **(step.env if step else {})}
            command = paste(event.argv, event.cwd, event.env, own, self._style)
            self._say(self._style.paint(f"    {self._style.word(command, 500)}".rstrip(), Role.DIM))

    def _step_finished(self, event: StepFinished, elapsed_s: float) -> None:
        self._done += 1
        self._failed += event.outcome in (Outcome.FAILED, Outcome.TIMEOUT)
        if event.step in self._accepting:
            self._accepting[event.step] = event.outcome is Outcome.COMPLETED if event.attempts else None
        if event.outcome is Outcome.SKIPPED:
            self._tell_skip(event)
        elif not self._is_told(event) and (self._few or event.outcome is not Outcome.COMPLETED):
            self._tell_end(event)
        self._logs.pop(event.step, None)
        self._tell_tenth(elapsed_s)

    def _is_told(self, event: StepFinished) -> bool:
        """A condition step has said all that there is to say with its answer."""
        step = self._steps.get(event.step)
        return event.outcome is Outcome.COMPLETED and step is not None and step.type is StepType.CONDITION

    def _tell_end(self, event: StepFinished) -> None:
        if self._quiet and event.outcome not in (Outcome.FAILED, Outcome.TIMEOUT):
            return
        self._tell(*mark(event, self._style), event.step, ending(event, self._style))
        if self._verbose and event.queued_s >= 0.001:
            self._say(self._style.paint(f"    queued for {duration(event.queued_s)}", Role.DIM))
        if self._verbose or (self._fold and event.outcome in (Outcome.FAILED, Outcome.TIMEOUT)):
            self._repeat_step(event.step)

    def _tell_skip(self, event: StepFinished) -> None:
        """Name it, unless so many were named before it: in a row, or, of many steps, in all."""
        reason, count = self._skips
        why = ending(event, self._style)
        if self._few and (not count or why != reason):
            self._count_skips()
            count = 0
        self._skips = (why, count + 1)
        if count < SKIPS_IN_A_ROW and not self._quiet:
            self._tell(*mark(event, self._style), event.step, ending(event, self._style), ends_row=False)

    def _count_skips(self) -> None:
        """End a row of skipped steps: say how many of it were not named."""
        why, count = self._skips
        self._skips = ("", 0)
        if count > SKIPS_IN_A_ROW and not self._quiet:
            skip = self._style.paint(self._style.skip, Role.DIM)
            more = plural(count - SKIPS_IN_A_ROW, "more step")
            self._say(f"  {skip} and {more}: {why if self._few else 'Skipped'}")

    def _tell_tenth(self, elapsed_s: float) -> None:
        tenths = 10 * self._done // max(self._total, 1)
        if self._few or self._quiet or tenths == self._told_tenths:
            return
        self._told_tenths = tenths
        failed = f", {self._failed} failed" if self._failed else ""
        dot = self._style.paint(self._style.dot, Role.DIM)
        self._say(f"  {dot} {self._done}/{self._total} steps ({10 * tenths}%){failed}, {duration(elapsed_s)}")

    def _run_finished(self, event: RunFinished) -> None:
        self._count_skips()
        if self._quiet:
            return
        if event.status is Status.COMPLETED and not self._failed:
            self._say("")
            self._say(f"{self._style.paint(self._style.ok, Role.OK)} All steps complete")
        self._tell_tests()

    def _tell_tests(self) -> None:
        """All acceptance tests together: those of each step's last attempt, and those of the workflow."""
        style = self._style
        places = {id: n for n, id in enumerate(self._steps)}
        in_order = [self._tests[id] for id in sorted(self._tests, key=lambda id: places.get(id, len(places)))]
        results = [(name_of_test(test, len(tests)), test.passed) for tests in in_order for test in tests]
        results += [(id, passed) for id, passed in self._accepting.items() if passed is not None]
        if not results:
            return
        failed = sum(not passed for _, passed in results)
        if failed:
            self._say("")
        glyph = style.paint(style.fail, Role.FAIL) if failed else style.paint(style.ok, Role.OK)
        self._say(f"{glyph} Running acceptance tests ({len(results) - failed}/{len(results)})")
        named = results if len(results) <= TESTS_NAMED else [one for one in results if not one[1]]
        for name, passed in named[:TESTS_NAMED]:
            word = style.paint("PASS", Role.OK) if passed else style.paint("FAIL", Role.FAIL)
            self._say(f"  {style.paint(style.arrow, Role.ACCENT)} {style.word(name, 80)}: {word}")
        if len(results) > len(named[:TESTS_NAMED]):
            rest = len(results) - len(named[:TESTS_NAMED])
            self._say(f"  {style.ellipsis} and {plural(rest, 'more test')}, {max(failed - TESTS_NAMED, 0)} failed")

    def _note(self, event: Event) -> None:
        """What happens less often."""
        if isinstance(event, StepTested):
            self._tests.setdefault(event.step, []).append(event)
        elif isinstance(event, StepRetrying):
            self._tests.pop(event.step, None)
        elif isinstance(event, StepsAdded):
            self._grow(event.steps)
        if self._quiet:
            return
        if isinstance(event, StageStarted):
            self._stage_started(event)
        elif isinstance(event, (StepTested, StepDecided, StepsAdded)):
            self._tell_news(event)
        else:
            self._tell_trouble(event)

    def _grow(self, steps: Sequence[NewStep]) -> None:
        self._total += len(steps)
        self._few = self._few and (self._total <= MANY_STEPS or self._verbose)
        for new in steps:
            parent = self._steps.get(new.after)
            if parent is None:
                continue
            own = parent.undo if new.stage is Stage.ROLLBACK else parent._replace(type=StepType.SCRIPT)
            if own is not None:
                self._steps[new.id] = own

    def _tell_news(self, event: StepTested | StepDecided | StepsAdded) -> None:
        style = self._style
        match event:
            case StepTested() if self._few or not event.passed:
                time = f" ({duration(event.duration_s)})"
                words = f"PASS{time}" if event.passed else f"FAIL{time}: {style.word(event.reason or '')}"
                glyph, role = (style.ok, Role.OK) if event.passed else (style.fail, Role.FAIL)
                if self._verbose:
                    self._repeat_step(event.step)
                self._tell(glyph, role, event.step, f"test {style.word(event.test, 80)}: {words}")
                if event.log and (self._verbose or (self._fold and not event.passed)):
                    self._repeat(event.step, event.log)
            case StepDecided() if self._few or event.error is not None:
                glyph, role = (style.arrow, Role.ACCENT) if event.error is None else (style.warn, Role.WARN)
                self._tell(glyph, role, event.step, decision_words(event, style))
            case StepsAdded() if event.steps and event.steps[0].stage is not Stage.ROLLBACK:
                names = ", ".join(style.word(step.id, 80) for step in event.steps[:5])
                more = f", and {len(event.steps) - 5} more" if len(event.steps) > 5 else ""
                words = f"{plural(len(event.steps), 'step')}: {names}{more}"
                self._tell(style.arrow, Role.ACCENT, event.steps[0].after, words)
            case _:
                pass

    def _tell_trouble(self, event: Event) -> None:
        style, warn = self._style, partial(self._tell, self._style.warn, Role.WARN)
        match event:
            case StepRetrying():
                step = self._steps.get(event.step)
                last = f" of {step.retry.attempts}" if step else ""
                which = f"attempt {event.attempt + 1}{last}"
                then = f"Retrying in {duration(event.delay_s)} ({which}): {style.word(event.reason)}"
                self._tell(style.retry, Role.WARN, event.step, then)
            case StepLeftProcesses():
                names = ", ".join(style.word(name, 80) for name in event.processes[:5])
                more = f", and {len(event.processes) - 5} more" if len(event.processes) > 5 else ""
                count = len(event.processes)
                left = "1 process" if count == 1 else f"{count} processes"
                warn(event.step, f"left {left} behind: {names}{more}")
            case StepLogCut():
                size = size_of(event.dropped_bytes)
                warn(event.step, f"the first {size} of its output are not kept (limits.outputSize)")
            case RunStopping():
                self._mention(style.warn, Role.WARN, f"Nothing new starts: {style.word(event.reason)}")
            case BreakerOpened():
                failures = plural(event.failures, "failed attempt")
                words = f"The circuit breaker of {breaker_words(event.breaker, style)} is open after {failures}"
                self._mention(style.warn, Role.WARN, words)
            case MemoryShort() if self._few or event.starts:
                self._tell(style.dot, Role.DIM, event.step, memory_words(event))
            case LeaseAwaited() if self._few:
                self._tell(style.dot, Role.DIM, event.step, lease_words(event))
            case WidthChanged():
                width = plural(event.max_concurrency, "step")
                self._mention(
                    style.dot, Role.DIM, f"From here on at most {width} at a time: {style.word(event.reason)}"
                )
            case _:
                pass

    # --- how it is said

    def _mention(self, glyph: str, role: Role, words: str) -> None:
        """Something about the run as a whole."""
        self._count_skips()
        self._say(f"  {self._style.paint(glyph, role)} {words}")

    def _tell(self, glyph: str, role: Role | None, step: str, words: str, *, ends_row: bool = True) -> None:
        if ends_row and self._few:
            self._count_skips()
        self._say(f"  {self._style.paint(glyph, role)} [{self._style.word(step, 80)}] {words}")

    def _repeat_step(self, step: str) -> None:
        """What the command of the step printed, once."""
        if log := self._logs.pop(step, ""):
            self._repeat(step, log)

    def _repeat(self, step: str, log: str) -> None:
        if self._folder is None:
            return
        cut, lines = _tail(self._folder / log, FOLDED_LINES if self._fold else TAIL_LINES)
        quoted = [self._style.quote(line) for line in lines]
        if cut:
            where = self._style.word(str(self._folder / log), 500)
            quoted.insert(0, f"{self._style.ellipsis} all of it: {where}")
        if self._fold and quoted:
            self._outlet.put_all(self._fold(f"[{self._style.word(step, 80)}] output", quoted, self._at))
        elif not self._fold:
            prefix = self._style.paint(f"    [{self._style.word(step, 80)}]", Role.DIM)
            for line in quoted:
                self._say(f"{prefix} {line}".rstrip())

    def _say(self, line: str) -> None:
        self._outlet.put(line)


def _tail(log: Path, count: int) -> tuple[bool, list[str]]:
    """The last lines of a log, and whether there are more; nothing of one that cannot be read."""
    size, end = end_of(log, _TAIL_BYTES)
    if size < _TAIL_BYTES:  # perhaps because it has been turned over
        before, older = end_of(Path(older_log(str(log))), _TAIL_BYTES - size)
        size, end = size + before, older + end
    lines = end.decode("utf-8", "replace").removesuffix("\n").split("\n") if end else []
    return size > _TAIL_BYTES or len(lines) > count, lines[-count:]
