"""The listener that writes the ledger: one transaction for all that a few turns of the loop have brought.

Rule 1  `settle` commits what has been told, before an order that hangs on it is obeyed: a success is on disk before a
        dependent starts (with NORMAL it survives the end of this process, with `durable` a loss of power).
Rule 2  A step that has ended is one row, with all else that was told since the last commit. That, not a row for each
        event, is what keeps the ledger below a tenth of the time of a run whose steps do nothing.
Rule 3  Nothing is updated but the row of the run, once, at its end.
"""

import json
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from stepwave import __version__
from stepwave.core.events import (
    Entry,
    RunFinished,
    RunStarted,
    StepDecided,
    StepFinished,
    StepQueued,
    StepRetrying,
    StepsAdded,
    StepStarted,
)
from stepwave.core.plan import Learned, Plan
from stepwave.edge.ledger.connect import Ledger, as_unusable, telling, unusable
from stepwave.edge.ledger.learning import Learning, flow_of
from stepwave.edge.ledger.origin import Origin, as_text
from stepwave.edge.ledger.schema import PLACE_BITS

Row = tuple[Any, ...]
Statement = tuple[str, Row]
Definitions = Callable[[], Mapping[str, Mapping[str, str]]]
"""What every step is, as {step id: {part: value}}; asked for once, when the run begins."""
Sketching = Callable[[], dict[str, Any]]
"""The plan as `core.telling.sketch` writes it down; asked for once, when the run begins."""


class Remembering(Protocol):
    """What is recorded beside the run, for later ones."""

    def bind(self, ledger: Ledger, run_folder: Path) -> None:
        """The ledger is open, and the run has its folder. May raise sqlite3.Error."""
        ...

    def definitions(self) -> Mapping[str, Mapping[str, str]]:
        """See Definitions."""
        ...

    def rows(self) -> Sequence[Statement]:
        """What the turn has brought, for its commit."""
        ...


Attempt = tuple[float, str, bool]
"""A running one: when it started, its log, and whether stdout is kept apart."""

_insert_run = (
    "INSERT INTO runs (id, workflow, name, file, origin, definitions, resumed_from, version, pid, host, steps,"
    " started_at, sketch) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_end_run = "UPDATE runs SET ended_s = ?, status = ?, exit_code = ?, reason = ? WHERE no = ?"
_insert_step = f"INSERT INTO steps VALUES ({', '.join('?' * 24)})"
_insert_attempt = f"INSERT INTO attempts VALUES ({', '.join('?' * 13)})"
_insert_events = "INSERT INTO events VALUES (?, ?)"


_open_to_the_end: list[Ledger] = []
"""Closing the last connection moves SQLite's log into the database and waits for the disk, some 10 ms. What is in the
log is as good; a later run moves it, when there are 4 MB of it."""


class LedgerWriter:
    """A required listener. Its methods may raise LedgerUnusable, the first of them that cannot write.

    `last`: this process ends with the run, and takes the open ledger with it.
    """

    refresh_s: float | None = None

    def __init__(
        self,
        ledger: Ledger,
        origin: Origin,
        definitions: Definitions | None = None,
        memory: Remembering | None = None,
        sketch: Sketching | None = None,
        *,
        last: bool = False,
    ) -> None:
        self._last = last
        self._ledger = ledger
        self._file = _inode(ledger.path)
        self._memory = memory
        self._origin = origin
        self._definitions = definitions
        self._defined: Mapping[str, Mapping[str, str]] | None = None
        self._learning: Learning | None = None
        self._sketch = sketch
        self._no = self._place = 0
        self._now_s = 0.0
        self._failed = self._ended = False
        self._turn: list[Row] = []
        self._rows: list[Statement] = []
        self._running: dict[str, Attempt] = {}
        self._decisions: dict[str, str] = {}
        self._added: dict[str, list[str]] = {}
        self._encode = json.JSONEncoder(separators=(",", ":"), default=_plain).encode

    def learned(self, plan: Plan) -> Mapping[str, Learned]:
        """What earlier runs have shown of the steps that are about to run."""
        with telling(self._ledger.path):
            return self._learner(plan.workflow.id).recall(self._ledger.db, plan)

    def _learner(self, workflow: str) -> Learning:
        if self._learning is None:
            self._learning = Learning(flow_of(self._origin, workflow), self._prints)
        return self._learning

    def _prints(self) -> Mapping[str, str]:
        from stepwave.core.running.fingerprint import print_of

        return {id: print_of(parts) for id, parts in self._define().items()}

    def _define(self) -> Mapping[str, Mapping[str, str]]:
        if self._defined is None:
            self._defined = self._definitions() if self._definitions else {}
        return self._defined

    # --- the listener -------------------------------------------------------------------------------

    def see(self, entry: Entry) -> None:
        event: Any = entry.event
        kind = type(event)
        self._now_s = entry.elapsed_s
        if kind is StepStarted:
            self._running[event.step] = (entry.elapsed_s, event.log, event.keep_output)
            event = (*event[:4], {}, *event[5:])  # rule 4 of the schema: no `env`
        elif kind is StepFinished:
            self._rows.append((_insert_step, self._step_row(entry, event)))
            if self._learning is not None:
                self._learning.note(event)
            return
        elif kind is not StepQueued:
            self._note(entry, event)
        self._turn.append((entry.seq, round(entry.elapsed_s, 6), kind.__name__, event))

    def settle(self) -> None:
        """Commit what has been seen."""
        turn, rows = self._turn, self._rows
        if turn:
            text = self._encode(turn)
            self._turn = []
            if rows and rows[-1][0] is _insert_step:
                rows[-1] = (_insert_step, (*rows[-1][1][:-1], text))
            else:
                rows.append((_insert_events, (self._place | turn[0][0], text)))
        if self._memory is not None:
            rows += self._memory.rows()
        if self._learning is not None and (self._ended or self._learning.is_due):
            rows += self._learning.rows()
        if rows:
            self._rows = []
            self._commit(rows)

    def refresh(self) -> None:
        """Nothing to draw."""

    def pause(self) -> None:
        """Nothing on a terminal."""

    def close(self) -> None:
        """A run that ends without `RunFinished` has failed with the runner."""
        try:
            if not self._failed:
                self.settle()
                if self._no and not self._ended:
                    self._commit([(_end_run, (self._now_s, "failed", 3, "the runner itself failed", self._no))])
            if self._last and not self._failed:
                _open_to_the_end.append(self._ledger)
            else:
                self._ledger.close()
            if not self._failed:
                self._see_that_it_is_there()
        except OSError:
            if not self._failed:  # else it has been told
                raise

    def _see_that_it_is_there(self) -> None:
        """SQLite goes on writing to a file that has been deleted; nobody will ever read that."""
        if _inode(self._ledger.path) != self._file:
            raise unusable(self._ledger.path, "was deleted while the run went on", "nothing is recorded of this run")

    # --- rows -----------------------------------------------------------------------------------------

    def _commit(self, rows: Sequence[Statement]) -> None:
        execute = self._ledger.db.execute
        try:
            if len(rows) == 1:  # is a transaction by itself
                _insert(execute, *rows[0])
                return
            execute("BEGIN IMMEDIATE")
            for statement, row in rows:
                _insert(execute, statement, row)
            execute("COMMIT")
        except Exception as problem:
            self._failed = True
            raise as_unusable(self._ledger.path, problem) from problem

    def _note(self, entry: Entry, event: Any) -> None:
        """What happens less often."""
        if isinstance(event, RunStarted):
            self._begin(entry, event)
        elif isinstance(event, StepRetrying):
            self._rows.append((_insert_attempt, self._attempt_row(entry, event)))
        elif isinstance(event, StepDecided):
            self._decisions[event.step] = json.dumps((event.result, event.chosen, event.error))
        elif isinstance(event, StepsAdded):
            for step in event.steps:
                self._added.setdefault(step.after, []).append(step.id)
                if self._learning is not None:
                    self._learning.join(step.id, step.after)
        elif isinstance(event, RunFinished):
            self._ended = True
            self._rows.append(
                (_end_run, (entry.elapsed_s, event.status.value, event.exit_code, event.reason, self._no))
            )

    def _begin(self, entry: Entry, event: RunStarted) -> None:
        origin = self._origin
        definitions = _packed(self._define()) if self._definitions else None
        self._learner(event.workflow)
        sketch = self._sketch and _packed(_placed(self._sketch()))
        steps = sum(map(len, event.waves))
        row = (
            *(entry.run, event.workflow, event.name, origin.file, as_text(origin), definitions, origin.resumed_from),
            *(__version__, os.getpid(), os.uname().nodename, steps, entry.at - entry.elapsed_s, sketch),
        )
        self._commit([(_insert_run, row)])
        (self._no,) = self._ledger.db.execute("SELECT no FROM runs WHERE id = ?", (entry.run,)).fetchone()
        self._place = self._no << PLACE_BITS

    def _step_row(self, entry: Entry, end: StepFinished) -> Row:
        id = end.step
        started_s, log, apart = self._running.pop(id, _never)
        added = self._added.pop(id, None)
        return (
            self._place | entry.seq,
            id,
            end.outcome.value,
            end.attempts,
            end.exit_code,
            end.signal,
            end.reason,
            end.tolerated,
            started_s,
            entry.elapsed_s,
            end.duration_s,
            end.queued_s,
            end.pid,
            *(end.usage or _unused),
            log,
            end.log_bytes,
            end.stdout_bytes,
            apart,
            end.taken_from,
            self._decisions.pop(id, None),
            added and json.dumps(added),
            None,
        )

    def _attempt_row(self, entry: Entry, event: StepRetrying) -> Row:
        started_s, log, apart = self._running.pop(event.step, _never)
        ended = (entry.elapsed_s, event.reason, event.exit_code, event.signal, *(event.usage or _unused))
        return (self._place | entry.seq, event.step, event.attempt, started_s, *ended, log, apart)


def _inode(path: Path) -> tuple[int, int] | None:
    """What tells a file from one that came to lie in its place; None where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - at every start
    except OSError:
        return None
    return found.st_dev, found.st_ino


_never: tuple[None, None, bool] = (None, None, False)
_unused = (None, None, None)


def _packed(document: object) -> bytes:
    return zlib.compress(json.dumps(document, separators=(",", ":")).encode(), 1)


def _placed(sketch: dict[str, Any]) -> dict[str, Any]:
    """The files of a sketch are to be found from everywhere. What is none is the name of a workflow made in Python."""
    files = [os.path.abspath(path) if os.path.isfile(path) else "" for path in sketch["files"]]  # noqa: PTH100, PTH113
    return {**sketch, "files": files}


def _plain(value: object) -> object:
    """What JSON does not know: enums and read-only mappings."""
    return value.value if isinstance(value, Enum) else dict(value)  # type: ignore[call-overload]


def _insert(execute: Callable[[str, Row], object], statement: str, row: Row) -> None:
    try:
        execute(statement, row)
    except UnicodeEncodeError:  # a lone surrogate: a byte of a path that is no UTF-8
        execute(statement, _storable(row))


def _storable(row: Row) -> Row:
    return tuple(x.encode("utf-8", "backslashreplace").decode() if isinstance(x, str) else x for x in row)
