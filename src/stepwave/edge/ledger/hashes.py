"""What is in files, as digests; a file is read again only when its stat says that it may have changed.

Rule 1  A stat is trusted only for a file that had not been changed for `RACY_S` when it was read: a change within the
        same tick of the clock leaves no trace in it (https://git-scm.com/docs/racy-git).
Rule 2  What is kept here is never needed: without it every file is read once more.
"""

import hashlib
import os
import stat
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepwave.edge.ledger.expand import Found, Stat

if TYPE_CHECKING:
    import sqlite3

RACY_S = 2.0
MAX_KEPT = 500_000
"""Files whose digests are kept; when there are so many, all are forgotten: most of them will be gone."""

Digests = Mapping[str, str]
"""By path, in order."""

_insert = "INSERT OR REPLACE INTO hashes VALUES (?, ?, ?, ?, ?, ?, ?)"
_blake = partial(hashlib.blake2b, digest_size=16)


class Hashes:
    """Digests of files, from the ledger as far as it knows them. `rows` is what it should learn."""

    def __init__(self, db: "sqlite3.Connection") -> None:
        self._db = db
        self._known: dict[str, tuple[Stat, str]] | None = None
        self._new: dict[str, tuple[Stat, str]] = {}
        self._forget = False

    def digests(self, found: Found) -> Digests:
        """Those of all the files. What is no file is told by what it is."""
        known = self._load() if self._known is None else self._known
        digests: dict[str, str] = {}
        for path, status in found.files.items():
            kept = known.get(path)
            if kept is not None and status is not None and kept[0] == status:
                digests[path] = kept[1]
            else:
                digests[path] = self._read(path, status)
        return digests

    def rows(self) -> list[tuple[str, tuple[Any, ...]]]:
        """Statements for the next commit."""
        if not self._new and not self._forget:
            return []
        new, self._new = self._new, {}
        forget: list[tuple[str, tuple[Any, ...]]] = [("DELETE FROM hashes", ())] if self._forget else []
        self._forget = False
        return forget + [(_insert, (path, *status, digest)) for path, (status, digest) in new.items()]

    def _load(self) -> dict[str, tuple[Stat, str]]:
        """All at once: a query for each file would take longer than looking at it."""
        rows = self._db.execute(f"SELECT * FROM hashes LIMIT {MAX_KEPT}")
        self._known = {row[0]: (Stat._make(row[1:6]), row[6]) for row in rows}
        if len(self._known) == MAX_KEPT:
            self._known, self._forget = {}, True
        return self._known

    def _read(self, path: str, status: Stat | None) -> str:
        if status is None:
            return _unread(path)
        began_ns = time.time_ns()
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return "unreadable"
        with os.fdopen(fd, "rb", buffering=0) as file:
            before = os.fstat(fd)
            if not stat.S_ISREG(before.st_mode):
                return "no file"
            try:
                digest = hashlib.file_digest(file, _blake).hexdigest()
            except OSError:
                return "unreadable"
        now = Stat(before.st_size, before.st_mtime_ns, before.st_ctime_ns, before.st_ino, before.st_dev)
        if now == status and began_ns - max(now.mtime_ns, now.ctime_ns) > RACY_S * 1e9:
            self._keep(path, now, digest)
        return digest

    def _keep(self, path: str, status: Stat, digest: str) -> None:
        assert self._known is not None
        if len(self._known) < MAX_KEPT:
            self._known[path] = self._new[path] = (status, digest)


def _unread(path: str) -> str:
    """A link to a folder or to nothing is where it leads to; a socket or a device is just that."""
    try:
        return f"link to {Path(path).readlink()}"
    except OSError:
        return "no file"


def combined(digests: Digests, missing: Sequence[str] = ()) -> str:
    """One digest of many; of one file it is the file's, and its path."""
    if len(digests) == 1 and not missing:
        for path, digest in digests.items():
            return f"{digest} {path}"
    lines = [f"{path}\0{digest}" for path, digest in digests.items()]
    lines += [f"{path}\0missing" for path in missing]
    return _blake("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
