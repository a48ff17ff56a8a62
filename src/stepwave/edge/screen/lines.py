"""Plain lines: what a run says where no live board can be, a line for each thing that has happened.

Rule 1: nothing here raises, or holds up the run. A stream that is gone mutes this listener; one that is not
        read for a while gets its lines later, from a bounded backlog.
Rule 2: what is said stays bounded. Of many steps only trouble and every tenth of the progress is told.
"""

import os
import select
from collections import deque
from functools import partial
from pathlib import Path
from typing import TextIO

from stepwave.core.closing import paste
from stepwave.core.endings import ending, mark
from stepwave.core.events import (
    Entry,
    Event,
    Outcome,
    RunFinished,
    RunStarted,
    RunStopping,
    Status,
    StepFinished,
    StepLeftProcesses,
    StepRetrying,
    StepStarted,
)
from stepwave.core.plan import Plan
from stepwave.core.style import Role, Style
from stepwave.core.text import duration, plural
from stepwave.edge.screen.stream import silence

MANY_STEPS = 200
"""Of more steps than this, starts and successes are told with `verbose` only."""
SKIPS_IN_A_ROW = 20
"""Further steps skipped in a row for the same reason are counted, not named."""
TAIL_LINES = 50
"""So much of a step's output is repeated with `verbose`; all of it is in its log."""
_TAIL_BYTES = 64 * 1024
_BACKLOG_LINES = 10_000


class Lines:
    """A listener that writes to `stream`, each line at once.

    `quiet`: failures only. `verbose`: commands, queue times, and the end of each step's output, read from its
    log in `folder`, the run's (None: it has none). `patience_s`: how long `close` waits for a reader.
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
    ) -> None:
        self._plan = plan
        self._style = style
        self._verbose = verbose
        self._quiet = quiet
        self._folder = folder
        self._patience_s = patience_s
        self._outlet = _Outlet(stream)
        self._total = len(plan.steps)
        self._few = self._total <= MANY_STEPS or verbose
        self._done = 0
        self._failed = 0
        self._told_tenths = 0
        self._skips: tuple[str, int] = ("", 0)
        self._logs: dict[str, str] = {}

    def see(self, entry: Entry) -> None:
        """Tell of the event. Never raises for what the stream does."""
        match entry.event:
            case RunStarted() as event:
                self._run_started(event)
            case StepStarted() as event:
                self._step_started(event)
            case StepFinished() as event:
                self._step_finished(event, entry.elapsed_s)
            case RunFinished() as event:
                self._run_finished(event)
            case event:
                self._tell_trouble(event)

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
        spin = self._style.paint(self._style.spin, Role.ACCENT)
        how = "in parallel" if event.max_concurrency > 1 else "one at a time"
        self._say(f"{ok} Loading workflow: {self._style.word(event.name or event.workflow)}")
        self._say(f"{ok} Building dependency graph ({plural(self._total, 'step')}, {dependencies})")
        self._say(f"{ok} Initializing worker pool (max_workers={event.max_concurrency})")
        self._say("")
        self._say(f"{spin} Executing steps {how}:")

    def _step_started(self, event: StepStarted) -> None:
        if self._verbose:
            self._logs[event.step] = event.log
        if self._quiet or not self._few or event.attempt > 1:
            return
        self._tell(self._style.arrow, Role.ACCENT, event.step, "Starting...")
        if self._verbose:
            step = self._plan.steps.get(event.step)
            own = {**self._plan.workflow.env, **(step.env if step else {})}
            command = paste(event.argv, event.cwd, event.env, own, self._style) if event.argv else ""
            self._say(self._style.paint(f"    {self._style.word(command, 500)}".rstrip(), Role.DIM))

    def _step_finished(self, event: StepFinished, elapsed_s: float) -> None:
        self._done += 1
        self._failed += event.outcome in (Outcome.FAILED, Outcome.TIMEOUT)
        if event.outcome is Outcome.SKIPPED:
            self._tell_skip(event)
        elif self._few or event.outcome is not Outcome.COMPLETED:
            self._tell_end(event)
        self._tell_tenth(elapsed_s)

    def _tell_end(self, event: StepFinished) -> None:
        if self._quiet and event.outcome not in (Outcome.FAILED, Outcome.TIMEOUT):
            return
        self._tell(*mark(event, self._style), event.step, ending(event, self._style))
        if self._verbose:
            if event.queued_s >= 0.001:
                self._say(self._style.paint(f"    queued for {duration(event.queued_s)}", Role.DIM))
            if log := self._logs.pop(event.step, ""):
                self._repeat(event.step, log)

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
        if event.status is Status.COMPLETED and not self._failed and not self._quiet:
            self._say("")
            self._say(f"{self._style.paint(self._style.ok, Role.OK)} All steps complete")

    def _tell_trouble(self, event: Event) -> None:
        if self._quiet:
            return
        style, warn = self._style, partial(self._tell, self._style.warn, Role.WARN)
        match event:
            case StepRetrying():
                step = self._plan.steps.get(event.step)
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
            case RunStopping():
                self._count_skips()
                self._say(f"  {style.paint(style.warn, Role.WARN)} Nothing new starts: {style.word(event.reason)}")
            case _:
                pass

    # --- how it is said

    def _tell(self, glyph: str, role: Role | None, step: str, words: str, *, ends_row: bool = True) -> None:
        if ends_row and self._few:
            self._count_skips()
        self._say(f"  {self._style.paint(glyph, role)} [{self._style.word(step, 80)}] {words}")

    def _repeat(self, step: str, log: str) -> None:
        if self._folder is None:
            return
        prefix = self._style.paint(f"    [{self._style.word(step, 80)}]", Role.DIM)
        cut, lines = _tail(self._folder / log)
        if cut:
            where = self._style.word(str(self._folder / log), 500)
            self._say(f"{prefix} {self._style.ellipsis} all of it: {where}")
        for line in lines:
            self._say(f"{prefix} {self._style.quote(line)}".rstrip())

    def _say(self, line: str) -> None:
        self._outlet.put(line)


def _tail(log: Path) -> tuple[bool, list[str]]:
    """The last lines of a log, and whether there are more; nothing of one that cannot be read."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - _TAIL_BYTES, 0))
            lines = file.read(_TAIL_BYTES).decode("utf-8", "replace").split("\n")
    except OSError:
        return False, []
    lines = lines[:-1] if lines[-1] == "" else lines
    return size > _TAIL_BYTES or len(lines) > TAIL_LINES, lines[-TAIL_LINES:]


class _Outlet:
    """A stream that never blocks its writer: lines it would not take at once wait here, up to a number."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._waiting: deque[str] = deque()
        self._dropped = 0
        self._open = True
        try:
            self._fd: int | None = stream.fileno()
        except (OSError, ValueError, AttributeError):
            self._fd = None

    def put(self, line: str) -> None:
        if len(self._waiting) < _BACKLOG_LINES:
            self._waiting.append(line)
        else:
            self._dropped += 1
        self.pump()

    def pump(self, wait_s: float = 0.0) -> None:
        """Write what the stream takes, waiting so long for each line."""
        while self._open and self._waiting and self._takes(wait_s):
            self._write(self._waiting.popleft())
            if self._dropped and len(self._waiting) < _BACKLOG_LINES:
                self._waiting.append(f"({plural(self._dropped, 'line')} not shown: nobody was reading)")
                self._dropped = 0

    def drain(self, patience_s: float) -> None:
        """Write everything, unless for so long not a line is taken: a run ends though nobody reads."""
        self.pump(patience_s)
        self._waiting.clear()

    def _takes(self, wait_s: float) -> bool:
        """Whether a line can be written without blocking: poll(2) promises a pipe PIPE_BUF bytes of room."""
        if self._fd is None or not hasattr(select, "poll"):
            return True
        poller = select.poll()
        poller.register(self._fd, select.POLLOUT)
        return bool(poller.poll(wait_s * 1000))

    def _write(self, line: str) -> None:
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except BlockingIOError:
            pass  # somebody made it non-blocking: Python keeps the rest and writes it with the next line
        except OSError:
            self._open = False
            silence(self._fd)
        except UnicodeError:
            self._waiting.appendleft(line.encode("ascii", "backslashreplace").decode("ascii"))
        except ValueError:
            self._open = False  # closed: its descriptor may be somebody else's by now
