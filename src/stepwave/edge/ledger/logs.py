"""What a step of a recorded run has printed, and goes on printing."""

import os
import select
from collections.abc import Iterator
from contextlib import closing
from io import FileIO
from pathlib import Path
from typing import NamedTuple

from stepwave.core.diagnostics import COMMAND_LINE, Diagnostic, Place, did_you_mean, error
from stepwave.core.events import older_log, stderr_log, stdout_log
from stepwave.core.text import one_line, plural
from stepwave.edge.ledger.connect import Ledger
from stepwave.edge.ledger.reader import Run, run_of, tried
from stepwave.edge.ledger.view import Standing, State, StepView, Watch, folder_of

_chunk = 1 << 16
_look_s = 0.1
_at_work = (State.WAITING, State.QUEUED, State.RUNNING, State.STOPPING, State.RETRYING)


class Log(NamedTuple):
    """The file with what one attempt has printed; it may not be there: it is made with the first byte.

    `attempt` 0: the step has not been started. `ended`: nothing is added to it any more. `printed_bytes`: how much it
    was in all, where that is known. `stands_for`: the run that was asked for, when the step was taken over from `run`.
    """

    run: str
    step: str
    attempt: int
    path: Path
    ended: bool
    printed_bytes: int | None = None
    stands_for: str = ""

    @property
    def parts(self) -> tuple[Path, ...]:
        """The files that are there, in order: none, one, or two where it was turned over (`limits.outputSize`)."""
        return tuple(part for part in (Path(older_log(str(self.path))), self.path) if part.is_file())

    @property
    def kept_bytes(self) -> int:
        return sum(part.stat().st_size for part in self.parts)

    @property
    def dropped_bytes(self) -> int:
        """How much of the beginning is not kept, as far as that is known."""
        if self.printed_bytes is None or len(self.parts) < 2:
            return 0
        return self.printed_bytes - self.kept_bytes


def log_of(ledger: Ledger, watch: Watch, step: str, attempt: int | None = None, stream: str = "") -> Log | Diagnostic:
    """The last attempt where None is given. `stream`: `stdout` or `stderr`, where they were kept apart; "": both."""
    found = watch.look()
    run = watch.view.run
    one = found.get(step)
    if one is None:
        help = did_you_mean(step, found) or f"`stepwave status {run.id}` lists them"
        return error("unknown-step", f"run {run.id} has no step `{one_line(step, 60)}`", _here, help)
    if one.taken_from is not None:
        return _of_other(ledger, one, run.id, attempt, stream)
    at_work = one.state in _at_work and watch.view.standing is Standing.RUNNING
    if problem := _no_log(one, attempt, at_work):
        return problem
    attempt = attempt or one.attempts
    name, apart = _name(ledger, run, one, attempt)
    if name and stream:
        if not apart:
            message = f"stdout and stderr of step `{one_line(step, 60)}` were not kept apart"
            help = "they are with `run --json`, and where another step refers to its output"
            return error("no-log", message, _here, help)
        name = stdout_log(name) if stream == "stdout" else stderr_log(name)
    ended = not (at_work and attempt == one.attempts)
    size = one.log_bytes if ended and attempt == one.attempts and not stream else None
    return Log(run.id, step, attempt, watch.view.folder / name, ended, size)


def _of_other(ledger: Ledger, one: StepView, run: str, attempt: int | None, stream: str) -> Log | Diagnostic:
    """Of a step that was not run, as the success of another run stands for it: what it printed there."""
    assert one.taken_from is not None
    other = run_of(ledger, one.taken_from)
    if other is None:
        message = f"run {one.taken_from} stands for step `{one_line(one.id, 60)}`, and has been deleted with its logs"
        return error("no-log", message, _here)
    found = log_of(ledger, Watch(ledger, other), one.id, attempt, stream)
    return found._replace(stands_for=run) if isinstance(found, Log) else found


def _no_log(one: StepView, attempt: int | None, at_work: bool) -> Diagnostic | None:
    step = one_line(one.id, 60)
    if one.attempts == 0 and not at_work:
        reason = f": {one_line(one.reason)}" if one.reason else ""
        return error("no-log", f"step `{step}` was not started{reason}", _here)
    if attempt is not None and not 0 < attempt <= one.attempts:
        return error("no-log", f"step `{step}` has had {plural(one.attempts, 'attempt')}", _here)
    return None


_here = Place(COMMAND_LINE)


def _name(ledger: Ledger, run: Run, one: StepView, attempt: int) -> tuple[str, bool]:
    if attempt in (0, one.attempts):
        return one.log or "", one.apart
    for before in tried(ledger, run.no):
        if before.step == one.id and before.attempt == attempt:
            return before.log or "", before.apart
    return "", False


def logs_of(ledger: Ledger, run: str) -> dict[str, tuple[str | None, str | None]]:
    """Of every step that printed something: the log of its stdout, where that was kept apart, and its log. Absolute."""
    there = run_of(ledger, run)
    folder = folder_of(ledger, run)
    found: dict[str, tuple[str | None, str | None]] = {}
    for step in Watch(ledger, there).look().values() if there else ():
        if step.log and step.log_bytes and (folder / step.log).is_file():
            out = step.stdout if step.stdout_bytes else None
            found[step.id] = out and str(folder / out), str(folder / step.log)
    return found


def read(log: Log) -> Iterator[bytes]:
    """What is in it now."""
    with closing(_Reading(log.path)) as reading:
        yield from reading.news()


def follow(ledger: Ledger, watch: Watch, log: Log, last: int | None = None, stream: str = "") -> Iterator[bytes]:
    """What it prints, until the step ends, through all attempts from that one to the `last`.

    b"" says that there is nothing new at the moment.
    """
    with closing(_Reading(log.path)) as reading:
        while True:
            yield from reading.news()
            if not log.ended:
                yield b""
                select.select([], [], [], _look_s)
                # Looked up before it is read again: what has ended by now has all been written.
                following = _now(ledger, watch, log, stream)
            else:
                following = None if log.attempt == last else _next(ledger, watch, log, stream)
            if following is None:
                return
            log = following
            reading.turn_to(log.path)


def _now(ledger: Ledger, watch: Watch, log: Log, stream: str) -> Log | None:
    """The same log as it stands at this moment, or the first one of a step that has been started meanwhile."""
    now = log_of(ledger, watch, log.step, log.attempt or None, stream)
    if isinstance(now, Log) and log.attempt == 0 and now.attempt > 1:
        now = log_of(ledger, watch, log.step, 1, stream)
    return now if isinstance(now, Log) else None


def _next(ledger: Ledger, watch: Watch, log: Log, stream: str) -> Log | None:
    """The attempt after this one, which has ended."""
    following = log_of(ledger, watch, log.step, None, stream)
    if isinstance(following, Diagnostic) or following.attempt == log.attempt:
        return None
    following = log_of(ledger, watch, log.step, log.attempt + 1, stream)
    return None if isinstance(following, Diagnostic) else following


class _Reading:
    """A log that is read while it grows, and is turned over (`limits.outputSize`): the older part before the newest.

    The file that was read last stays open, so that its number is not given to another one.
    """

    def __init__(self, path: Path) -> None:
        self._file: FileIO | None = None
        self.turn_to(path)

    def turn_to(self, path: Path) -> None:
        """Another log from here on, or still this one."""
        self._newest, self._older = path, Path(older_log(str(path)))

    def news(self) -> Iterator[bytes]:
        """What has come since."""
        yield from self._rest()
        while (following := self._following()) is not None:
            yield from self._rest()  # what came between the last look and the turn
            self.close()
            self._file = following
            yield from self._rest()

    def _rest(self) -> Iterator[bytes]:
        while self._file is not None and (chunk := self._file.read(_chunk)):
            yield chunk

    def _following(self) -> FileIO | None:
        """The part after the one that is open; None as long as that is the newest one."""
        newest = self._other(self._newest)
        if newest is None and self._newest.exists():
            return None
        older = self._other(self._older)
        if older is None:
            return newest
        if newest is not None:
            newest.close()
        return older

    def _other(self, path: Path) -> FileIO | None:
        """A file that is not the one that is open."""
        try:
            file = path.open("rb", buffering=0)
        except (FileNotFoundError, IsADirectoryError):  # it has printed nothing
            return None
        if self._file is not None and os.path.sameopenfile(file.fileno(), self._file.fileno()):
            file.close()
            return None
        return file

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
