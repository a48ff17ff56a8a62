"""What was found is kept in the user's cache folder, one SQLite file for each tree, and never in the tree itself.

Rule 1  A cache that is locked, may not be written, is damaged or is no cache of ours changes no answer: one goes on
        without it. A damaged one is thrown away, as it is a cache; one of another program is left alone.
Rule 2  Fresh is what has the same size, times and inode as when it was looked at. Clocks of file systems are coarse:
        a file that had changed within the last two seconds is compared by its content too, which is hashed before it
        is read for the answer; so what changed in between can only be looked at once more, never be overlooked.
Rule 3  Every entry has a checksum over its question, its tree and its answer.
"""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from zlib import adler32, crc32

from stepwave.discovery.walk import Found, Walked

if TYPE_CHECKING:
    import sqlite3

APPLICATION_ID = 0x53574443  # "SWDC"
VERSION = 2
_YOUNG_NS = 2_000_000_000
_PATIENCE_S = 0.2
_MOST_ANSWERS = 400
_MOST_BYTES = 96 << 20
_TABLES = """
CREATE TABLE tree_root (root BLOB NOT NULL);
CREATE TABLE trees (id INTEGER PRIMARY KEY, stamp BLOB NOT NULL, young BLOB NOT NULL);
CREATE TABLE answers (
    question TEXT PRIMARY KEY, tree INTEGER NOT NULL, checksum INTEGER NOT NULL, answer BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE facts (
    kind TEXT NOT NULL, path BLOB NOT NULL, stamp TEXT NOT NULL, content TEXT NOT NULL, checksum INTEGER NOT NULL,
    fact BLOB NOT NULL, PRIMARY KEY (kind, path)) WITHOUT ROWID;
CREATE TABLE words (
    maker TEXT PRIMARY KEY, stamp BLOB NOT NULL, young BLOB NOT NULL, checksum INTEGER NOT NULL,
    words BLOB NOT NULL);
"""
_ASKED = """
SELECT checksum, answer, stamp, young, trees.id FROM answers JOIN trees ON trees.id = tree WHERE question = ?
"""
_SIZES = ("page_count", "freelist_count", "page_size")
_T = TypeVar("_T")


class _OfAnotherReleaseError(ValueError):
    """A cache of ours, with other tables."""


class Kept(NamedTuple):
    """A cache file: how large it is, and the tree that it is of (None when that cannot be told)."""

    path: str
    size: int
    root: str | None


def cache_folder() -> str:
    """STEPWAVE_CACHE_DIR, else `stepwave` in XDG_CACHE_HOME or ~/.cache; with `code` below it."""
    environ = os.environ
    named = environ.get("STEPWAVE_CACHE_DIR")
    if not named:
        home = environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - see ARCHITECTURE.md
        named = f"{home}/stepwave"
    return f"{named}/code"


def cache_path(root: str) -> str:
    """The file for a tree; two trees never share one, for it says in it whose it is."""
    real = os.path.realpath(root)
    raw = os.fsencode(real)
    return f"{cache_folder()}/{_plain_name(real)}-{crc32(raw):08x}{adler32(raw[::-1]):08x}.db"


class Cache:
    """The cache of one tree. Every method does its best and raises nothing but what ends the process."""

    def __init__(self, root: str) -> None:
        self._root = os.fsencode(os.path.realpath(root))
        self.path = cache_path(root)
        self._db: sqlite3.Connection | None = None
        self._usable = True
        self._grown: list[tuple[str, Found, bytes]] = []
        self._stamped: tuple[Walked | None, bytes] = (None, b"")

    # --- answers about a whole tree -----------------------------------------------------------------------------

    def answer(self, question: str, walked: Walked, root: str) -> bytes | None:
        """The answer that was given to a question when the tree was as it is now."""
        row = self._safely(lambda db: db.execute(_ASKED, (question,)).fetchone(), write=False)
        if row is None:
            return None
        checksum, answer, stamp, young, tree = row
        if stamp != self._stamp_of(walked) or checksum != _checksum(question, stamp, young, answer):
            return None
        if young:
            files = bytes(young).decode("utf-8", "surrogatepass").split("\0")
            if _hashes(root, files[::2]) != files:
                return None
            if not young_files(walked.files):
                self._safely(lambda db: _grown_up(db, tree, question, stamp, answer), write=True)
        return bytes(answer)

    def keep_answer(self, question: str, walked: Walked, young: bytes, answer: bytes) -> None:
        """`young` is what `young_of` gave before the tree was read."""
        stamp = self._stamp_of(walked)

        def keep(db: "sqlite3.Connection") -> None:
            _make_room(db)
            same = db.execute("SELECT id FROM trees WHERE stamp = ? AND young = ?", (stamp, young)).fetchone()
            if same is None or db.execute("SELECT count(*) FROM answers").fetchone()[0] >= _MOST_ANSWERS:
                db.execute("DELETE FROM answers")  # the tree has changed, and with it all that was said of it
                db.execute("DELETE FROM trees")
                same = (db.execute("INSERT INTO trees (stamp, young) VALUES (?, ?)", (stamp, young)).lastrowid,)
            row = (question, same[0], _checksum(question, stamp, young, answer), answer)
            db.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)", row)

        self._safely(keep, write=True)

    # --- facts about single files -------------------------------------------------------------------------------

    def facts(self, kind: str, files: Iterable[Found], root: str) -> dict[str, bytes]:
        """What is known of files that are as they were, by path."""
        asked = "SELECT path, stamp, content, checksum, fact FROM facts WHERE kind = ?"
        rows = self._safely(lambda db: db.execute(asked, (kind,)).fetchall(), write=False)
        now = {found.path: found for found in files}
        fresh: dict[str, bytes] = {}
        for raw, *row in rows or ():
            path = bytes(raw).decode("utf-8", "surrogatepass")
            if path in now and self._is_fresh(kind, now[path], root, row):
                fresh[path] = bytes(row[-1])
        return fresh

    def fact(self, kind: str, found: Found, root: str) -> bytes | None:
        """What is known of one file, if it is as it was."""
        asked = "SELECT stamp, content, checksum, fact FROM facts WHERE kind = ? AND path = ?"
        path = found.path.encode("utf-8", "surrogatepass")
        row = self._safely(lambda db: db.execute(asked, (kind, path)).fetchone(), write=False)
        return bytes(row[-1]) if row is not None and self._is_fresh(kind, found, root, row) else None

    def _is_fresh(self, kind: str, found: Found, root: str, row: Sequence[Any]) -> bool:
        stamp, content, checksum, fact = row
        if _stamp(found) != stamp or checksum != _checksum(kind + found.path, stamp, content, fact):
            return False
        if content:
            if _hashes(root, [found.path])[1] != content:
                return False
            if not young_files([found]):
                self._grown.append((kind, found, bytes(fact)))
        return True

    def keep_facts(self, facts: Sequence[tuple[str, Found, bytes]], young: dict[str, str]) -> None:
        """Keep facts of a kind about a file; those of files that have grown up are kept as such by the way.

        `young` are the hashes, by path, that `young_of` gave before the files were read.
        """
        grown, self._grown = self._grown, []
        rows = [
            *((kind, found, "", fact) for kind, found, fact in grown),
            *((kind, found, young.get(found.path, ""), fact) for kind, found, fact in facts),
        ]

        def keep(db: "sqlite3.Connection") -> None:
            _make_room(db)
            for kind, found, content, fact in rows:
                stamp = _stamp(found)
                checksum = _checksum(kind + found.path, stamp, content, fact)
                row = (kind, found.path.encode("utf-8", "surrogatepass"), stamp, content, checksum, fact)
                db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?, ?, ?)", row)

        if rows:
            self._safely(keep, write=True)

    # --- the words of all files ---------------------------------------------------------------------------------

    def words(self, walked: Walked, root: str, maker: str) -> tuple[bytes | None, dict[str, bytes]]:
        """What `keep_words` was given, when the tree is as it was; else those parts of it that still hold, by path."""
        asked = "SELECT stamp, young, checksum, words FROM words WHERE maker = ?"
        row = self._safely(lambda db: db.execute(asked, (maker,)).fetchone(), write=False)
        if row is None or row[2] != _checksum(maker, *row[:2], row[3]):
            return None, {}
        stamp, young, _, words = row
        was = by_path(bytes(young))
        if stamp == self._stamp_of(walked) and (not was or _hashes(root, list(was))[1::2] == list(was.values())):
            if was and not young_files(walked.files):
                self.keep_words(walked, b"", maker, bytes(words))
            return bytes(words), {}
        now = {found.path: _stamp(found) for found in walked.files}
        parts = bytes(stamp).decode("utf-8", "surrogatepass").split("\0")
        chunks = zip(parts[::2], parts[1::2], bytes(words).split(b"\0"), strict=False)
        return None, {
            path: chunk
            for path, then, chunk in chunks
            if now.get(path) == then and (path not in was or _hashes(root, [path])[1] == was[path])
        }

    def keep_words(self, walked: Walked, young: bytes, maker: str, words: bytes) -> None:
        """The words of each file of a tree, in the order of the files, with a NUL between two files."""
        stamp = self._stamp_of(walked)
        row = (maker, stamp, young, _checksum(maker, stamp, young, words), words)

        def keep(db: "sqlite3.Connection") -> None:
            db.execute("DELETE FROM words")  # those of another release, or Python, take too much room
            db.execute("INSERT INTO words VALUES (?, ?, ?, ?, ?)", row)

        self._safely(keep, write=True)

    def _stamp_of(self, walked: Walked) -> bytes:
        """The stamp of the tree that is asked about, made once."""
        if self._stamped[0] is not walked:
            self._stamped = (walked, stamp_of(walked))
        return self._stamped[1]

    def close(self) -> None:
        if self._db is not None:
            with suppress(Exception):
                self._db.close()
            self._db = None

    # --- the file -----------------------------------------------------------------------------------------------

    def _safely(self, act: "Callable[[sqlite3.Connection], _T]", *, write: bool) -> "_T | None":
        """What a query gives; None without a cache. A write is one transaction: another process sees all of it or
        nothing, and so does one after `kill -9`."""
        import sqlite3

        if not self._usable:
            return None
        try:
            db = self._opened() or (self._made() if write else None)
            if db is None:
                return None
            if not write:
                return act(db)
            db.execute("BEGIN IMMEDIATE")
            result = act(db)
            db.execute("COMMIT")
        except (sqlite3.Error, OSError, ValueError) as problem:
            self.close()
            code = getattr(problem, "sqlite_errorcode", 0) & 0xFF
            damaged = code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) and not write
            self._usable = damaged or isinstance(problem, _OfAnotherReleaseError)
            if self._usable:  # it is a cache: thrown away, and made anew when there is something to keep
                with suppress(OSError):
                    os.unlink(self.path)  # noqa: PTH108
            return None
        except BaseException:
            self.close()  # an interrupt: what was not committed is taken back
            raise
        return result

    def _opened(self) -> "sqlite3.Connection | None":
        """The file as it is, if it is a cache of this tree."""
        import sqlite3

        if self._db is None and os.path.exists(self.path) and os.path.getsize(self.path):  # noqa: PTH110, PTH202
            db = self._db = sqlite3.connect(self.path, timeout=_PATIENCE_S, isolation_level=None)
            db.execute("PRAGMA synchronous = OFF")  # a loss of power may damage it: then it is made anew
            marks = db.execute("PRAGMA application_id").fetchone() + db.execute("PRAGMA user_version").fetchone()
            if marks[0] == APPLICATION_ID and marks[1] != VERSION:
                raise _OfAnotherReleaseError
            row = db.execute("SELECT root FROM tree_root").fetchone() if marks[0] == APPLICATION_ID else None
            if row is None or bytes(row[0]) != self._root:
                raise ValueError("the database of another program, or of another tree")
        return self._db

    def _made(self) -> "sqlite3.Connection":
        import sqlite3

        os.makedirs(cache_folder(), mode=0o700, exist_ok=True)  # noqa: PTH103
        db = self._db = sqlite3.connect(self.path, timeout=_PATIENCE_S, isolation_level=None)
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA page_size = 16384")  # megabytes of words are read in a third of the time
        db.execute("BEGIN IMMEDIATE")
        if not db.execute("SELECT 1 FROM sqlite_master").fetchone():  # another process may have been faster
            for statement in _TABLES.split(";"):
                db.execute(statement)
            db.execute("INSERT INTO tree_root VALUES (?)", (self._root,))
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")
        return db


def _make_room(db: "sqlite3.Connection") -> None:
    """Begin anew when the file has become too large; its room is used again."""
    pages, free, size = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in _SIZES)
    if (pages - free) * size > _MOST_BYTES:
        for table in ("answers", "trees", "facts"):
            db.execute(f"DELETE FROM {table}")


def _grown_up(db: "sqlite3.Connection", tree: int, question: str, stamp: bytes, answer: bytes) -> None:
    """Nothing is young any more: what was compared once by content need not be so again."""
    db.execute("DELETE FROM answers WHERE tree = ? AND question <> ?", (tree, question))
    db.execute("UPDATE trees SET young = x'' WHERE id = ?", (tree,))
    db.execute(
        "UPDATE answers SET checksum = ? WHERE question = ?", (_checksum(question, stamp, b"", answer), question)
    )


def stamp_of(walked: Walked) -> bytes:
    """All that the file system says of a tree."""
    parts = [f"{f.path}\0{f.size},{f.mtime_ns},{f.ctime_ns},{f.inode}" for f in walked.files]
    parts += [f"{u.path}\0{u.reason}" for u in walked.unread]
    return "\0".join(parts).encode("utf-8", "surrogatepass")


def young_files(files: Iterable[Found]) -> list[str]:
    limit = time.time_ns() - _YOUNG_NS
    return [found.path for found in files if found.mtime_ns > limit or found.ctime_ns > limit]


def young_of(root: str, files: Iterable[Found]) -> bytes:
    """Paths and hashes of the files that changed a moment ago; to be asked for before they are read."""
    young = young_files(files)
    return "\0".join(_hashes(root, young)).encode("utf-8", "surrogatepass") if young else b""


def by_path(young: bytes) -> dict[str, str]:
    parts = young.decode("utf-8", "surrogatepass").split("\0") if young else []
    return dict(zip(parts[::2], parts[1::2], strict=True))


def kept_caches() -> list[Kept]:
    """All cache files there are."""
    found = []
    with suppress(OSError), os.scandir(cache_folder()) as entries:
        files = [e for e in entries if e.name.endswith(".db") and e.is_file(follow_symlinks=False)]
        found = [Kept(e.path, e.stat().st_size, _root_of(e.path)) for e in files]
    return sorted(found)


def clear_caches(wanted: Callable[[Kept], bool]) -> list[Kept]:
    """Delete cache files of ours; those that are gone. Raises OSError when one cannot be deleted."""
    gone = [kept for kept in kept_caches() if kept.root is not None and wanted(kept)]
    for kept in gone:
        for tail in ("-journal", ""):
            with suppress(FileNotFoundError):
                os.unlink(f"{kept.path}{tail}")  # noqa: PTH108
    return gone


def _root_of(path: str) -> str | None:
    import sqlite3

    try:
        db = sqlite3.connect(f"file:{_quoted(path)}?mode=ro", uri=True, timeout=_PATIENCE_S)
        try:
            if db.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
                return None
            return os.fsdecode(db.execute("SELECT root FROM tree_root").fetchone()[0])
        finally:
            db.close()
    except (sqlite3.Error, TypeError):
        return None


def _quoted(path: str) -> str:
    from urllib.parse import quote

    return quote(os.fsencode(path))


def _hashes(root: str, paths: Sequence[str]) -> list[str]:
    """Paths and the hashes of their contents, in turn; of what cannot be read, an empty one."""
    from hashlib import blake2b

    found: list[str] = []
    for path in paths:
        try:
            with open(f"{root}/{path}", "rb") as file:  # noqa: PTH123
                found += [path, blake2b(file.read(), digest_size=16).hexdigest()]
        except OSError:
            found += [path, ""]
    return found


def _stamp(found: Found) -> str:
    return f"{found.size},{found.mtime_ns},{found.ctime_ns},{found.inode}"


def _checksum(*parts: str | bytes) -> int:
    sum = 0
    for part in parts:
        sum = crc32(part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part, crc32(b"\0", sum))
    return sum


def _plain_name(path: str) -> str:
    name = path.rpartition("/")[2][:40]
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name) or "root"
