"""What the ledger knows, as values.

Every function may raise sqlite3.Error; `connect.telling` turns it into a sentence.
"""

import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from stepwave.core.events import Outcome, Status, StepDecided, Usage, stdout_log
from stepwave.edge.ledger.connect import Ledger
from stepwave.edge.ledger.origin import Origin, from_text
from stepwave.edge.ledger.schema import PLACE_BITS


class Run(NamedTuple):
    """A row of `runs`. `status` None: it has no end; it runs, or has died. Seconds; `started_at` since the epoch."""

    no: int
    id: str
    workflow: str
    name: str
    file: str
    pid: int
    host: str
    steps: int
    started_at: float
    resumed_from: str | None = None
    ended_s: float | None = None
    status: Status | None = None
    exit_code: int | None = None
    reason: str | None = None


class Done(NamedTuple):
    """A step that has its outcome, as it stands in the ledger: see `events.StepFinished` for the fields.

    `log` is that of the last attempt, relative to the folder of the run; `apart`: stdout went to `stdout_log(log)` too.
    `added` holds the ids of the steps that it became (forEach).
    """

    id: str
    outcome: Outcome
    attempts: int
    exit_code: int | None
    signal: int | None
    reason: str | None
    tolerated: bool
    started_s: float | None
    ended_s: float
    duration_s: float
    queued_s: float
    pid: int | None
    usage: Usage | None
    log: str | None
    log_bytes: int
    stdout_bytes: int
    apart: bool
    taken_from: str | None
    decision: StepDecided | None
    added: tuple[str, ...]
    seq: int
    """The number of its event."""

    @property
    def stdout(self) -> str | None:
        """Where its stdout lies, relative to the folder of the run; None where there is none."""
        if self.log is None:
            return None
        if self.apart:
            return stdout_log(self.log) if self.stdout_bytes else None
        return self.log if self.log_bytes else None


class Tried(NamedTuple):
    """An attempt that another one followed. See `events.StepRetrying`; the log as in `Done`."""

    step: str
    attempt: int
    started_s: float
    ended_s: float
    reason: str | None
    exit_code: int | None
    signal: int | None
    usage: Usage | None
    log: str | None
    apart: bool


class Told(NamedTuple):
    """An event as it was recorded: the name of its kind, and its fields as JSON values, a tuple as a list."""

    seq: int
    elapsed_s: float
    kind: str
    fields: list[Any]


_run = "no, id, workflow, name, file, pid, host, steps, started_at, resumed_from, ended_s, status, exit_code, reason"
_step = (
    "id, outcome, attempts, exit_code, signal, reason, tolerated, started_s, ended_s, duration_s, queued_s, pid,"
    " user_s, system_s, peak_rss_bytes, log, log_bytes, stdout_bytes, apart, taken_from, decision, added"
)


def places(no: int) -> tuple[int, int]:
    """The first place of a run's rows, and the first after them."""
    return no << PLACE_BITS, (no + 1) << PLACE_BITS


def runs(ledger: Ledger, limit: int = -1) -> list[Run]:
    """The latest first; -1: all."""
    rows = ledger.db.execute(f"SELECT {_run} FROM runs ORDER BY no DESC LIMIT ?", (limit,))
    return [_as_run(row) for row in rows]


def run_of(ledger: Ledger, id: str) -> Run | None:
    row = ledger.db.execute(f"SELECT {_run} FROM runs WHERE id = ?", (id,)).fetchone()
    return _as_run(row) if row else None


def _as_run(row: tuple[Any, ...]) -> Run:
    run = Run(*row)
    return run._replace(status=Status(run.status) if run.status else None)


def origin_of(ledger: Ledger, no: int) -> Origin:
    (text,) = ledger.db.execute("SELECT origin FROM runs WHERE no = ?", (no,)).fetchone()
    return from_text(text)


def definitions_of(ledger: Ledger, no: int) -> Mapping[str, Mapping[str, str]]:
    """What every step was when the run began; empty where that was not recorded."""
    (packed,) = ledger.db.execute("SELECT definitions FROM runs WHERE no = ?", (no,)).fetchone()
    return json.loads(zlib.decompress(packed)) if packed else {}


def done(ledger: Ledger, no: int, after: int = 0) -> Iterator[Done]:
    """The steps of a run that have ended, in the order in which they did; those after the event of that number."""
    first, end = places(no)
    query = f"SELECT {_step}, place FROM steps WHERE place > ? AND place < ? ORDER BY place"
    for row in ledger.db.execute(query, (first + after, end)):
        yield _as_done(row)


def _as_done(row: tuple[Any, ...]) -> Done:
    """Usage is three columns, and the last two are JSON."""
    usage = Usage(*row[12:15]) if row[12] is not None else None
    plain: list[Any] = [*row[:12], usage, *row[15:20]]
    decision, added, place = row[20:]
    decided = StepDecided(row[0], *_decided(decision)) if decision else None
    seq = place & ((1 << PLACE_BITS) - 1)
    step = Done._make([*plain, decided, tuple(json.loads(added)) if added else (), seq])
    return step._replace(outcome=Outcome(step.outcome), tolerated=bool(step.tolerated), apart=bool(step.apart))


def tried(ledger: Ledger, no: int) -> list[Tried]:
    """The attempts of a run that others followed, in order."""
    query = (
        "SELECT step, attempt, started_s, ended_s, reason, exit_code, signal, user_s, system_s, peak_rss_bytes, log,"
        " apart FROM attempts WHERE place >= ? AND place < ? ORDER BY place"
    )
    rows = ledger.db.execute(query, places(no))
    return [_as_tried(row) for row in rows]


def _as_tried(row: tuple[Any, ...]) -> Tried:
    usage = Usage(*row[7:10]) if row[7] is not None else None
    return Tried._make([*row[:7], usage, row[10], bool(row[11])])


def told(ledger: Ledger, no: int, after: int = 0) -> Iterator[Told]:
    """What has happened in a run after the turn that ended with that number, in order, but for the ends of steps:
    those are `done`."""
    first, end = places(no)
    query = "SELECT entries FROM turns WHERE place > ? AND place < ? ORDER BY place"
    for (text,) in ledger.db.execute(query, (first + after, end)):
        for entry in json.loads(text):
            yield Told(*entry)


def _decided(text: str) -> tuple[bool, tuple[str, ...], str | None]:
    result, chosen, error = json.loads(text)
    return result, tuple(chosen), error
