"""The files that patterns mean, as they lie there now: in a fixed order, bounded, without following links to folders.

`*` is any text without `/`, `?` one character, `[a-z]` and `[!a-z]` one of a set, `**` as a whole name any number of
folders. A folder means all that is below it; a name that exists as it is written is meant, whatever signs are in it.
What is called `.git` or `.stepwave` is passed over unless it is named.
"""

import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

MAX_FILES = 100_000
"""Files that the patterns of one step may mean."""

PASSED_OVER = frozenset((".git", ".stepwave"))


class Stat(NamedTuple):
    """What tells that a file is the one that it was, without reading it: see `hashes`."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int


class Found(NamedTuple):
    """`files` by path, in order; None for a link to a folder or to nothing, and for what is no file. `missing` are the
    patterns without wildcards that mean nothing."""

    files: dict[str, Stat | None]
    missing: tuple[str, ...] = ()


class TooManyFiles(Exception):  # noqa: N818 - a bound, not a fault
    """More than `MAX_FILES`."""


def expand(patterns: Sequence[str]) -> Found:
    """`patterns` are absolute. Raises TooManyFiles."""
    files: dict[str, Stat | None] = {}
    missing: list[str] = []
    for pattern in patterns:
        path = _plain_path(pattern)
        try:
            status = os.stat(path)  # noqa: PTH116 - ten thousand of them
        except (OSError, ValueError):
            status = None
        if status is not None and stat.S_ISREG(status.st_mode):
            files[path] = _stat(status)
        elif status is not None and stat.S_ISDIR(status.st_mode):
            _below(path, files)
        elif status is not None or os.path.lexists(path):
            files[path] = None
        elif any(sign in path for sign in "*?["):
            _matched(path, files)
        else:
            missing.append(path)
    if len(files) > MAX_FILES:
        raise TooManyFiles
    if len(patterns) > 1 or len(files) > 1:
        files = {path: files[path] for path in sorted(files)}
    return Found(files, tuple(missing))


def _plain_path(path: str) -> str:
    """`normpath` takes as long as everything else that is done for a file."""
    return os.path.normpath(path) if "//" in path or "/." in path or path.endswith("/") else path


def _stat(status: os.stat_result) -> Stat:
    return Stat(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)


# --- folders -----------------------------------------------------------------------------------------------


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """What cannot be read is empty."""
    try:
        with os.scandir(folder or "/") as found:
            return list(found)
    except OSError:
        return []


def _below(folder: str, files: dict[str, Stat | None]) -> None:
    """All that is below a folder; links to folders are themselves, and not what they lead to."""
    waiting = [folder]
    while waiting:
        for entry in _entries(waiting.pop()):
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in PASSED_OVER:
                    waiting.append(entry.path)
            else:
                _add(entry, files)


def _add(entry: os.DirEntry[str], files: dict[str, Stat | None]) -> None:
    try:
        status = entry.stat()
    except OSError:
        status = None
    files[entry.path] = _stat(status) if status is not None and stat.S_ISREG(status.st_mode) else None
    if len(files) > MAX_FILES:
        raise TooManyFiles


# --- wildcards ---------------------------------------------------------------------------------------------


def _matched(pattern: str, files: dict[str, Stat | None]) -> None:
    """Part after part of the pattern, from the root on; every folder and rest of a pattern once."""
    names = tuple(pattern.split("/")[1:])
    plain = next(n for n, name in enumerate(names) if any(sign in name for sign in "*?["))
    waiting = [("/".join(("", *names[:plain])), plain)]
    seen = set(waiting)
    while waiting:
        folder, at = waiting.pop()
        for step in _steps(folder, names, at, files):
            if step not in seen:
                seen.add(step)
                waiting.append(step)
                if len(seen) > MAX_FILES:
                    raise TooManyFiles


def _steps(folder: str, names: tuple[str, ...], at: int, files: dict[str, Stat | None]) -> Iterator[tuple[str, int]]:
    """Where to go on from a folder; what the last name of the pattern means is added."""
    name, last = names[at], at == len(names) - 1
    deep = name == "**"
    if deep and not last:
        yield folder, at + 1
    fits = _fits(name)
    for entry in _entries(folder):
        if not fits(entry.name):
            continue
        if not entry.is_dir(follow_symlinks=False):
            if last:
                _add(entry, files)
        elif (deep or not last) and (entry.name not in PASSED_OVER or entry.name == name):
            yield entry.path, at if deep else at + 1


@cache
def _fits(name: str) -> Callable[[str], object]:
    from fnmatch import translate

    return re.compile(translate(name.replace("[^", "[!"))).match
