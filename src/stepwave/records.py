"""What is known of the runs of a state folder, and what can be done with them: the functions behind `stepwave runs`,
`status`, `logs`, `cancel` and `prune`.

Every function takes `file`, the workflow file or folder whose state folder is meant; None: that of the current folder.
A fault of whoever asks is returned as a Diagnostic. Each may raise LedgerUnusable, an OSError, when there is a ledger
that cannot be used.
"""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from stepwave.core.diagnostics import COMMAND_LINE, Diagnostic, Place, error

if TYPE_CHECKING:
    from stepwave.core.telling.exporting.reading import Tail
    from stepwave.core.telling.story import Story
    from stepwave.edge.ledger.logs import Log
    from stepwave.edge.ledger.prune import Old
    from stepwave.edge.ledger.view import RunView, StepView


class Pruned(NamedTuple):
    """`deleted` are the runs that were, or would be, deleted, the oldest first; `state` is the folder they were in."""

    state: Path
    deleted: "tuple[Old, ...]"


def states(file: str | None) -> list[Path]:
    """The state folders in question, the usual one first."""
    from stepwave.edge.files import known_states
    from stepwave.loading import locate

    if file is None:
        return known_states(Path.cwd(), os.environ)
    whole = Path(os.path.realpath(locate(file)))
    return known_states(whole if whole.is_dir() else whole.parent, os.environ)


# --- looking -------------------------------------------------------------------------------------------


def runs(file: str | None = None, *, limit: int = -1, workflow: str | None = None) -> "list[RunView]":
    """The latest first; -1: all of them. `workflow`: only those of workflows with that id, name or file."""
    from stepwave.edge.ledger import reader
    from stepwave.edge.ledger.find import reading
    from stepwave.edge.ledger.view import view

    with reading(states(file)) as ledger:
        if ledger is None:
            return []
        path = os.path.realpath(workflow) if workflow else ""
        found = [
            run
            for run in reader.runs(ledger, limit if workflow is None else -1)
            if workflow is None or workflow in (run.workflow, run.name) or run.file == path
        ]
        return [view(ledger, run) for run in found[: None if limit < 0 else limit]]


def status(run: str | None = None, file: str | None = None) -> "tuple[RunView, tuple[StepView, ...]] | Diagnostic":
    """A run and its steps as they are at this moment; the latest run where None is given."""
    from stepwave.edge.ledger.find import find_run, reading
    from stepwave.edge.ledger.view import Watch

    with reading(states(file)) as ledger:
        found = find_run(ledger, run)
        if isinstance(found, Diagnostic) or ledger is None:
            return found  # type: ignore[return-value]
        watch = Watch(ledger, found)
        steps = watch.steps()
        return watch.view, steps


def story(run: str | None = None, file: str | None = None) -> "Story | Diagnostic":
    """A whole run as it went, or goes at this moment; the latest one where None is given."""
    from stepwave.edge.ledger.find import find_run, reading
    from stepwave.edge.ledger.retold import story_of

    with reading(states(file)) as ledger:
        found = find_run(ledger, run)
        if isinstance(found, Diagnostic) or ledger is None:
            return found  # type: ignore[return-value]
        return story_of(ledger, found)


def story_in(folder: Path) -> "Story | None":
    """The run whose folder this is; None: it is in no ledger."""
    from stepwave.edge.ledger.find import reading
    from stepwave.edge.ledger.reader import run_of
    from stepwave.edge.ledger.retold import story_of

    with reading([folder.parent.parent]) as ledger:
        found = ledger and run_of(ledger, folder.name)
        return story_of(ledger, found) if ledger and found else None


def tails(story: "Story", *, failed: int = 200, others: int = 0) -> "dict[str, Tail]":
    """The ends of the logs, by their names: so many lines of the last attempt of a step that did not complete, and of
    one that did; of many steps fewer, in all at most 16 MiB."""
    from stepwave.core.telling.exporting.reading import Tail, is_failure
    from stepwave.edge.files import tail

    room = 16 << 20
    found: dict[str, Tail] = {}
    for step in sorted(story.steps, key=lambda step: not is_failure(step)):
        last = step.attempts[-1] if step.attempts else None
        wanted = failed if is_failure(step) else others
        if last is None or not last.log or not wanted or room <= 0:
            continue
        limit = min(64 << 10, room)
        lines = tail(Path(story.folder) / last.log, wanted + 1, limit)
        if lines:
            whole = len(lines) <= wanted and last.log_bytes <= limit and not last.dropped_bytes
            found[last.log] = Tail(lines[-wanted:], whole)
            room -= sum(map(len, lines))
    return found


def log(
    step: str, run: str | None = None, file: str | None = None, *, attempt: int | None = None, stream: str = ""
) -> "Log | Diagnostic":
    """Where that which a step printed lies. `stream`: `stdout` or `stderr`; "": both, in order."""
    from stepwave.edge.ledger.find import find_run, reading
    from stepwave.edge.ledger.logs import log_of
    from stepwave.edge.ledger.view import Watch

    with reading(states(file)) as ledger:
        found = find_run(ledger, run)
        if isinstance(found, Diagnostic) or ledger is None:
            return found  # type: ignore[return-value]
        return log_of(ledger, Watch(ledger, found), step, attempt, stream)


def printed(
    log: "Log", file: str | None = None, *, follow: bool = False, only: int | None = None, stream: str = ""
) -> Iterator[bytes]:
    """The bytes of a log. With `follow` until the step has ended, through its further attempts up to `only`; b"" says
    that there is nothing new at the moment."""
    from stepwave.edge.ledger import logs
    from stepwave.edge.ledger.find import reading
    from stepwave.edge.ledger.reader import run_of
    from stepwave.edge.ledger.view import Watch

    if not follow or log.ended:
        yield from logs.read(log)
        return
    with reading(states(file)) as ledger:
        run = ledger and run_of(ledger, log.run)
        if ledger is not None and run is not None:
            yield from logs.follow(ledger, Watch(ledger, run), log, only, stream)


# --- acting --------------------------------------------------------------------------------------------


class Cancelling(NamedTuple):
    """A run that has been told to end. `wait` returns it as it stands when its process has ended."""

    seen: "RunView"
    file: str | None
    handle: "object"

    def wait(self) -> "RunView":
        from stepwave.edge.ledger.end import Handle
        from stepwave.edge.ledger.lock import is_held

        assert isinstance(self.handle, Handle)
        try:
            self.handle.wait(lambda: not is_held(self.seen.folder))
        finally:
            self.handle.close()
        after = status(self.seen.run.id, self.file)
        return self.seen if isinstance(after, Diagnostic) else after[0]


def cancel(run: str | None = None, file: str | None = None, *, force: bool = False) -> Cancelling | Diagnostic:
    """Tell a run to end, as Ctrl-C would (SIGTERM); with `force` twice: its steps are killed at once.

    None: the only run that is running.
    """
    from stepwave.edge.ledger.end import grasp
    from stepwave.edge.ledger.find import find_run, reading
    from stepwave.edge.ledger.view import Standing, view

    with reading(states(file)) as ledger:
        found = find_run(ledger, run, alive=True)
        if isinstance(found, Diagnostic) or ledger is None:
            return found  # type: ignore[return-value]
        seen = view(ledger, found)
        if seen.standing is not Standing.RUNNING:
            return _over(seen)
        if seen.run.host != os.uname().nodename:
            message = f"run {seen.run.id} runs on another machine, `{seen.run.host}`"
            return error("not-here", message, Place(COMMAND_LINE), "cancel it there")
        handle = grasp(seen)
        if handle is None:
            return _over(view(ledger, found))
        handle.send(signal.SIGTERM)
        if force:
            time.sleep(_apart_s)
            handle.send(signal.SIGTERM)
        return Cancelling(seen, file, handle)


_apart_s = 0.2
"""Signals that arrive together are one signal: a burst ends a run once."""


def _over(seen: "RunView") -> Diagnostic:
    message = f"run {seen.run.id} does not run any more: {seen.standing.value}"
    return error("not-running", message, Place(COMMAND_LINE), f"`stepwave status {seen.run.id}` shows it")


def prune(
    file: str | None = None, *, keep: int | None = None, older_s: float | None = None, dry_run: bool = False
) -> Pruned:
    """Delete all runs but the latest `keep`, or of them those that began more than `older_s` seconds ago. Runs that are
    alive stay, and so do those that they continue. Raises OSError when something cannot be deleted."""
    from stepwave.edge.ledger.connect import FILE_NAME, open_ledger
    from stepwave.edge.ledger.prune import delete, old_runs, shrink

    state = _state(file)
    path = state / FILE_NAME
    ledger = open_ledger(path) if path.exists() else None
    try:
        old = old_runs(ledger, state, keep=keep, older_s=older_s, now=time.time())
        if not dry_run:
            old = tuple(one for one in old if delete(ledger, state, one))
            if ledger is not None:
                shrink(ledger)
    finally:
        if ledger is not None:
            ledger.close()
    return Pruned(state, old)


def _state(file: str | None) -> Path:
    """The state folder that is there; the usual one when none is."""
    found = states(file)
    return next((state for state in found if state.is_dir()), found[0])


def move_damaged_aside(file: str | None = None) -> Path | None:
    """Rename a damaged ledger; where it is now, or None when it is sound."""
    from stepwave.edge.ledger.prune import move_aside

    return move_aside(_state(file), time.time())
