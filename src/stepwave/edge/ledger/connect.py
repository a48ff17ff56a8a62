"""Opening a ledger, and saying in a sentence why it cannot be used.

Rule 1  A file that is damaged, foreign or newer is left as it was: it is looked at before anything is written.
Rule 2  No connection is carried across a fork (https://www.sqlite.org/howtocorrupt.html): the helper processes are
        executed anew, and the database's descriptors are close-on-exec.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from stepwave.edge.ledger.schema import APPLICATION_ID, NEWEST, VERSIONS

if TYPE_CHECKING:
    import sqlite3

FILE_NAME = "ledger.db"
PATIENCE_S = 10.0
"""How long another process is waited for."""

# Small pages, as a commit writes whole ones: 1,000 turns took 33 ms with 1 KB and 57 ms with 4 KB, the default.
# What was written goes from the log (WAL) into the database proper every 4 MB.
_page_bytes = 1024
_checkpoint_pages = 4000


class LedgerUnusable(OSError):  # noqa: N818 - says what is wrong
    """The ledger cannot be used. `filename` is its path, `strerror` says why, a note says what to do."""


class Ledger(NamedTuple):
    """An open ledger. `db` is in autocommit mode: whoever writes begins and commits."""

    path: Path
    db: "sqlite3.Connection"

    def close(self) -> None:
        """Raises LedgerUnusable when what the operating system still holds back cannot be written."""
        with telling(self.path):
            self.db.close()


def open_ledger(path: Path, *, durable: bool = False) -> Ledger:
    """Open a ledger for writing; made if it is not there, brought to the newest version if it is older.

    `durable`: a commit survives a loss of power (synchronous=FULL), not only the end of this process.
    Raises LedgerUnusable, with the file as it was.
    """
    import sqlite3

    with telling(path):
        if not path.exists():
            _make(path, durable=durable)
        db = sqlite3.connect(path, timeout=PATIENCE_S, isolation_level=None)
        try:
            version = _check(db, path)
            if version == 0:
                db.execute(f"PRAGMA page_size = {_page_bytes}")
            _patiently(lambda: db.execute("PRAGMA journal_mode = WAL").fetchone())
            db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            db.execute(f"PRAGMA wal_autocheckpoint = {_checkpoint_pages}")
            if version < NEWEST:
                _migrate(db, path)
        except BaseException:
            db.close()
            raise
    return Ledger(path, db)


def _make(path: Path, *, durable: bool) -> None:
    """A new ledger is made aside and put into its place whole: SQLite itself waits for the disk five times for that,
    25 ms on an idle one. Of several processes that do this at once one comes first.

    Beside what is left of one that was deleted (`ledger.db-wal`), which would be played into the new one, and where
    links do not exist, it is an empty file: SQLite fills that, and deletes what is left of another.
    Private whatever the umask; SQLite gives its other files the same mode.
    """
    if not _has_wal(path):
        _put_image(path, durable=durable)
    with suppress(FileExistsError):
        os.close(os.open(path, _new_file, 0o600))


_new_file = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def _put_image(path: Path, *, durable: bool) -> None:
    aside = path.with_name(f"{path.name}.{os.getpid()}-{os.urandom(4).hex()}.part")
    try:
        with open(os.open(aside, _new_file, 0o600), "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(_image())
            file.flush()
            if durable:
                os.fsync(file.fileno())
        with suppress(OSError):
            os.link(aside, path)
    finally:
        with suppress(FileNotFoundError):
            aside.unlink()


def _image() -> bytes:
    """The bytes of a ledger in which nothing is recorded."""
    import sqlite3

    db = sqlite3.connect(":memory:", isolation_level=None)
    try:
        db.execute(f"PRAGMA page_size = {_page_bytes}")
        _migrate(db, Path())
        image = bytearray(db.serialize())
    finally:
        db.close()
    image[18:20] = b"\2\2"  # "write-ahead log", https://www.sqlite.org/fileformat.html#file_format_version_numbers
    return bytes(image)


def open_to_read(path: Path) -> Ledger | None:
    """Open a ledger for reading alone, whoever writes to it; None when there is none, or nothing in it yet.

    An older one is brought to the newest version first, which takes the right to write. Raises LedgerUnusable.
    """
    import sqlite3

    with telling(path):
        if not path.exists() or path.stat().st_size == 0:
            return None
        for mode in ("mode=ro", "immutable=1"):  # in a folder that cannot be written there is no place for an index
            db = sqlite3.connect(
                f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=PATIENCE_S, isolation_level=None
            )
            try:
                version = _check(db, path)
            except sqlite3.OperationalError:
                db.close()
                if mode != "mode=ro" or _has_wal(path):
                    raise
            except BaseException:
                db.close()
                raise
            else:
                break
    if version == NEWEST:
        return Ledger(path, db)
    db.close()
    open_ledger(path).close()
    return open_to_read(path)


def _has_wal(path: Path) -> bool:
    wal = path.with_name(f"{path.name}-wal")
    return wal.exists() and wal.stat().st_size > 0


def _check(db: "sqlite3.Connection", path: Path) -> int:
    """The version, 0 for one that is empty. Raises LedgerUnusable for what is no ledger, or a newer one."""
    id, version, filled = _marks(db)
    if id != APPLICATION_ID and (id or version or filled):
        raise unusable(path, "is the database of another program", _elsewhere)
    if version > NEWEST:
        raise unusable(
            path,
            f"was written by a newer stepwave (version {version} of the ledger, this one knows up to {NEWEST})",
            "use that stepwave; or `--no-ledger`: the run goes on without a record",
        )
    return version


def _marks(db: "sqlite3.Connection") -> tuple[int, int, bool]:
    """Application, version, and whether anything is in it, all of one moment: another process may be making it."""
    own = not db.in_transaction
    if own:
        db.execute("BEGIN")
    try:
        (id,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
        filled = db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None
    finally:
        if own and db.in_transaction:
            db.execute("ROLLBACK")
    return int(id), int(version), filled


def _migrate(db: "sqlite3.Connection", path: Path) -> None:
    """All in one transaction: a reader sees the old ledger or the new one, and so does a run after `kill -9`."""
    db.execute("BEGIN IMMEDIATE")
    try:
        for version in range(_check(db, path), NEWEST):  # another process may have been faster
            for statement in _statements(VERSIONS[version]):
                db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {NEWEST}")
        db.execute("COMMIT")
    except BaseException:
        with suppress(Exception):
            db.execute("ROLLBACK")
        raise


def _statements(script: str) -> Iterator[str]:
    """One by one: `executescript` would commit first."""
    import sqlite3

    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _patiently(act: Callable[[], Any]) -> None:
    """The change to WAL does not wait for other processes by itself."""
    import sqlite3

    give_up = time.monotonic() + PATIENCE_S
    while True:
        try:
            act()
        except sqlite3.OperationalError as problem:
            if problem.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= give_up:
                raise
            time.sleep(0.005)
        else:
            return


# --- what can be wrong -------------------------------------------------------------------------------------

_without = "`--no-ledger` runs without a record"
_elsewhere = f"{_without}; STEPWAVE_STATE_DIR names another folder for what stepwave keeps"
_aside = f"{_without}; `stepwave prune --damaged` moves it aside and begins a new one"

without_locks = "cannot be locked: on a network file system?", _elsewhere


@contextmanager
def telling(path: Path) -> Iterator[None]:
    """What goes wrong with the database is told as LedgerUnusable."""
    import sqlite3

    try:
        yield
    except sqlite3.Error as problem:
        raise as_unusable(path, problem) from problem
    except LedgerUnusable:
        raise
    except OSError as problem:
        raise unusable(path, (problem.strerror or str(problem)).lower(), _elsewhere) from problem


def as_unusable(path: Path, problem: Exception) -> LedgerUnusable:
    """Why, from SQLite's result code (https://www.sqlite.org/rescode.html)."""
    import sqlite3

    code = getattr(problem, "sqlite_errorcode", 0) & 0xFF
    locked = f"is locked by another process, which was waited for {PATIENCE_S:.0f} s", f"is a run stopped? {_without}"
    damaged = "is damaged, or no ledger", _aside
    full = "no space left on device", "make room, or `stepwave prune --keep 10`"
    no_write = "may not be written", _elsewhere
    reasons = {
        sqlite3.SQLITE_BUSY: locked,
        sqlite3.SQLITE_LOCKED: locked,
        sqlite3.SQLITE_NOTADB: damaged,
        sqlite3.SQLITE_CORRUPT: damaged,
        sqlite3.SQLITE_FULL: full,
        sqlite3.SQLITE_READONLY: no_write,
        sqlite3.SQLITE_PERM: no_write,
        sqlite3.SQLITE_CANTOPEN: ("is a folder" if path.is_dir() else "cannot be opened", _elsewhere),
        sqlite3.SQLITE_IOERR: (_trouble(problem), _elsewhere),
    }
    if getattr(problem, "sqlite_errorcode", 0) == sqlite3.SQLITE_IOERR_SHMSIZE:  # the index of the WAL finds no room
        return unusable(path, *full)
    return unusable(path, *reasons.get(code, (f"cannot be used: {problem}", _elsewhere)))


def _trouble(problem: Exception) -> str:
    """What could not be done to the file."""
    name = getattr(problem, "sqlite_errorname", "").removeprefix("SQLITE_IOERR_")
    if name in ("WRITE", "FSYNC", "DIR_FSYNC", "TRUNCATE"):
        return "cannot be written: disk I/O error"
    if name in ("LOCK", "RDLOCK", "UNLOCK", "SHMOPEN", "SHMLOCK", "SHMMAP"):
        return "cannot be shared here: is it on a network file system?"
    return "cannot be read or written: disk I/O error"


def unusable(path: Path, sentence: str, help: str) -> LedgerUnusable:
    problem = LedgerUnusable(0, sentence, str(path))
    problem.add_note(f"= help: {help}")
    return problem
