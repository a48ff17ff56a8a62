"""The files around a source that is imported: `core.importing.flow.Surroundings`, of the real file system.

Only asked, never changed; bounded in what is read and in how much a pattern may find.
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path

MAX_FOUND = 20_000
"""Paths that one pattern finds, and folders that are looked into for it."""
MAX_INCLUDED_BYTES = 4 << 20


class SourceTree:
    """`folder` is the one in which the commands of the source run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, bool] = {}

    @property
    def system(self) -> str:
        return os.uname().sysname

    @property
    def machine(self) -> str:
        return os.uname().machine

    def exists(self, path: str) -> bool:
        if path not in self._known:
            self._known[path] = self._ask(path, os.path.exists)
        return self._known[path]

    def is_folder(self, path: str) -> bool:
        return self._ask(path, os.path.isdir)

    def _ask(self, path: str, question: Callable[[Path], bool]) -> bool:
        try:
            return question(self._folder / path)
        except (OSError, ValueError):
            return False

    def matches(self, pattern: str) -> tuple[str, ...]:
        """As a shell has it: names that begin with a dot only where the pattern does, `**` is no more than `*`."""
        import glob
        from itertools import islice

        if len(pattern) > 4096 or "\0" in pattern or pattern.count("*") > 20:
            return ()
        try:
            found = list(islice(glob.iglob(pattern, root_dir=self._folder), MAX_FOUND))  # noqa: PTH207 - paths as they are written
        except (OSError, ValueError, RecursionError):
            return ()
        return tuple(sorted(found))

    def read(self, path: str) -> str | None:
        try:
            with open(self._folder / path, "rb", opener=_at_once) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    return None
                data = file.read(MAX_INCLUDED_BYTES + 1)
            return None if len(data) > MAX_INCLUDED_BYTES or b"\0" in data else data.decode("utf-8")
        except (OSError, ValueError):
            return None


def _at_once(path: str, flags: int) -> int:
    """A FIFO is not waited for."""
    return os.open(path, flags | os.O_NONBLOCK)
