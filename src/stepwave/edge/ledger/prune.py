"""Deleting old runs: their rows, and the folders with their logs. And moving a damaged ledger aside.

Rule 1  A run that is alive is kept, and so are the runs that it continues: it reads what their steps have printed.
Rule 2  Nothing outside of the state folder is deleted: a link is deleted itself, what it leads to is not.
Rule 3  Only what is called like a run is deleted.
"""

import calendar
import math
import os
import re
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from stepwave.edge.ledger.connect import FILE_NAME, Ledger, open_to_read, telling, unusable
from stepwave.edge.ledger.lock import hold, is_held
from stepwave.edge.ledger.reader import Run, runs

_run_id = re.compile(r"(\d{8}-\d{6})-[0-9a-f]{6}", re.ASCII)
_beginning_s = 60.0
"""A folder of this age may be one whose run is just about to take its lock."""


class Old(NamedTuple):
    """A run that is to go. `no` None: it is in no ledger, there is only its folder. Seconds since the epoch."""

    id: str
    started_at: float
    no: int | None


def old_runs(
    ledger: Ledger | None, state: Path, *, keep: int | None, older_s: float | None, now: float
) -> tuple[Old, ...]:
    """The oldest first: all but the latest `keep`, and of them those that began more than `older_s` ago."""
    recorded = runs(ledger) if ledger else []
    known = {run.id: Old(run.id, run.started_at, run.no) for run in recorded}
    found = {**{old.id: old for old in _folders(state, now)}, **known}
    spared = _spared(recorded, state)
    began = _in_order(recorded)
    latest_first = sorted(
        found.values(), key=lambda old: (began.get(old.id, old.started_at), old.no or 0, old.id), reverse=True
    )
    chosen = latest_first[keep or 0 :]
    if older_s is not None:
        chosen = [old for old in chosen if now - old.started_at > older_s]
    return tuple(old for old in reversed(chosen) if old.id not in spared and not is_held(state / "runs" / old.id))


def _folders(state: Path, now: float) -> Iterable[Old]:
    """Those without a ledger, made with `--no-ledger` or by a run that did not get far."""
    top = state / "runs"
    if top.is_symlink() or not top.is_dir():
        return
    for entry in os.scandir(top):
        found = _run_id.fullmatch(entry.name)
        if found and now - entry.stat(follow_symlinks=False).st_mtime > _beginning_s:
            with suppress(ValueError):
                at = calendar.timegm(time.strptime(found[1], "%Y%m%d-%H%M%S"))
                yield Old(entry.name, float(at), None)


def _in_order(latest_first: Iterable[Run]) -> dict[str, float]:
    """When each run began, by id: no later than those that were recorded after it, whatever the clock said."""
    began: dict[str, float] = {}
    latest = math.inf
    for run in latest_first:
        began[run.id] = latest = min(latest, run.started_at)
    return began


def _spared(recorded: Iterable[Run], state: Path) -> set[str]:
    """Rule 1."""
    all_runs = {run.id: run for run in recorded}
    spared: set[str] = set()
    for run in all_runs.values():
        if run.status is None and is_held(state / "runs" / run.id):
            before: str | None = run.id
            while before in all_runs and before not in spared:
                spared.add(before)
                before = all_runs[before].resumed_from
    return spared


def delete(ledger: Ledger | None, state: Path, old: Old) -> bool:
    """The rows first: a folder that is left is found by the next call. False: it has come alive, and stays.

    `ledger` is open for writing. Raises OSError, LedgerUnusable among them.
    """
    import shutil

    folder = state / "runs" / old.id
    lock = None
    if folder.is_dir() and not folder.is_symlink():
        try:
            lock = hold(folder)
        except BlockingIOError:
            return False
    try:
        if ledger is not None and old.no is not None:
            with telling(ledger.path):
                ledger.db.execute("DELETE FROM runs WHERE id = ?", (old.id,))
        if folder.is_symlink():
            folder.unlink()
        elif folder.is_dir():
            shutil.rmtree(folder)
    finally:
        if lock is not None:
            os.close(lock)
    return True


def shrink(ledger: Ledger) -> None:
    """Give the space of what was deleted back to the disk, when that is most of it and nobody else is at work."""
    import sqlite3

    with suppress(sqlite3.Error):
        (free,) = ledger.db.execute("PRAGMA freelist_count").fetchone()
        (pages,) = ledger.db.execute("PRAGMA page_count").fetchone()
        if free * 2 > pages:
            ledger.db.execute("PRAGMA busy_timeout = 0")
            ledger.db.execute("VACUUM")


# --- a damaged ledger --------------------------------------------------------------------------------------


def move_aside(state: Path, now: float) -> Path | None:
    """Rename a damaged ledger, with all that belongs to it, to `ledger.db.damaged-<time>`; None when it is sound.

    Raises LedgerUnusable when it cannot be looked at, or a run is alive.
    """
    path = state / FILE_NAME
    if not is_damaged(path):
        return None
    folders = (state / "runs").iterdir() if (state / "runs").is_dir() else ()
    alive = [folder.name for folder in folders if is_held(folder)]
    if alive:
        raise unusable(path, f"is in use by run {alive[0]}", f"`stepwave cancel {alive[0]}`, or wait for its end")
    aside = path.with_name(f"{FILE_NAME}.damaged-{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}")
    for part in ("-wal", "-shm", ""):  # SQLite would play the log of one database into another
        with suppress(FileNotFoundError):
            path.with_name(FILE_NAME + part).rename(aside.with_name(aside.name + part))
    return aside


def is_damaged(path: Path) -> bool:
    """Whether its pages and indexes are not what they should be; reads all of it."""
    import sqlite3

    try:
        ledger = open_to_read(path)
        if ledger is None:
            return False
        try:
            with telling(path):
                (answer,) = ledger.db.execute("PRAGMA integrity_check(1)").fetchone()
        finally:
            ledger.close()
    except OSError as problem:
        cause = problem.__cause__
        damaged = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
        if isinstance(cause, sqlite3.DatabaseError) and cause.sqlite_errorcode & 0xFF in damaged:
            return True
        raise
    return bool(answer != "ok")
