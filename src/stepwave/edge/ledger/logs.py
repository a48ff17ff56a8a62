"""What a step of a recorded run has printed, and goes on printing."""

import select
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from stepwave.core.diagnostics import COMMAND_LINE, Diagnostic, Place, did_you_mean, error
from stepwave.core.events import stderr_log, stdout_log
from stepwave.core.text import one_line, plural
from stepwave.edge.ledger.connect import Ledger
from stepwave.edge.ledger.reader import Run, tried
from stepwave.edge.ledger.view import Standing, State, StepView, Watch

_chunk = 1 << 16
_look_s = 0.1
_at_work = (State.WAITING, State.QUEUED, State.RUNNING, State.STOPPING, State.RETRYING)


class Log(NamedTuple):
    """The file with what one attempt has printed; it may not be there: it is made with the first byte.

    `attempt` 0: the step has not been started. `ended`: nothing is added to it any more.
    """

    run: str
    step: str
    attempt: int
    path: Path
    ended: bool


def log_of(ledger: Ledger, watch: Watch, step: str, attempt: int | None = None, stream: str = "") -> Log | Diagnostic:
    """The last attempt where None is given. `stream`: `stdout` or `stderr`, where they were kept apart; "": both."""
    found = watch.look()
    run = watch.view.run
    one = found.get(step)
    if one is None:
        help = did_you_mean(step, found) or f"`stepwave status {run.id}` lists them"
        return error("unknown-step", f"run {run.id} has no step `{one_line(step, 60)}`", _here, help)
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
    return Log(run.id, step, attempt, watch.view.folder / name, ended)


def _no_log(one: StepView, attempt: int | None, at_work: bool) -> Diagnostic | None:
    step = one_line(one.id, 60)
    if one.taken_from is not None:
        help = f"`stepwave logs {step} {one.taken_from}` shows what it printed there"
        return error("no-log", f"step `{step}` was not run: run {one.taken_from} stands for it", _here, help)
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


def read(log: Log) -> Iterator[bytes]:
    """What is in it now."""
    return _from(log.path, 0)


def follow(ledger: Ledger, watch: Watch, log: Log, last: int | None = None, stream: str = "") -> Iterator[bytes]:
    """What it prints, until the step ends, through all attempts from that one to the `last`.

    b"" says that there is nothing new at the moment.
    """
    position = 0
    while True:
        for chunk in _from(log.path, position):
            position += len(chunk)
            yield chunk
        if log.ended:
            if log.attempt == last or not (following := _next(ledger, watch, log, stream)):
                return
            log, position = following, 0
            continue
        yield b""
        select.select([], [], [], _look_s)
        # Looked up before it is read again: what has ended by now has all been written.
        now = log_of(ledger, watch, log.step, log.attempt or None, stream)
        if isinstance(now, Log) and log.attempt == 0 and now.attempt > 1:
            now = log_of(ledger, watch, log.step, 1, stream)
        if isinstance(now, Diagnostic):
            return
        log = now


def _next(ledger: Ledger, watch: Watch, log: Log, stream: str) -> Log | None:
    """The attempt after this one, which has ended."""
    following = log_of(ledger, watch, log.step, None, stream)
    if isinstance(following, Diagnostic) or following.attempt == log.attempt:
        return None
    following = log_of(ledger, watch, log.step, log.attempt + 1, stream)
    return None if isinstance(following, Diagnostic) else following


def _from(path: Path, position: int) -> Iterator[bytes]:
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(position)
            while chunk := file.read(_chunk):
                yield chunk
    except (FileNotFoundError, IsADirectoryError):  # it has printed nothing
        return
