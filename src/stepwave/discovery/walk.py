"""Which files of a tree are read: what a person wrote, not what tools put beside it.

One pass of scandir gives the paths and the stamps by which a cache knows that nothing has changed, so this file is on
the way of every question: it imports nothing that is not loaded already.
"""

import os
from collections.abc import Callable
from typing import NamedTuple

from stepwave.discovery.ignore import Rules, rules_above, rules_of

SUFFIXES = (".py", ".pyw")
_histories = frozenset((".git", ".hg", ".svn", ".bzr", ".jj", "CVS", "_darcs"))
_skipped = _histories | {
    "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", ".tox", ".nox", ".cache", ".eggs",
    ".ipynb_checkpoints", ".pytype", ".direnv", ".idea", ".vscode", "node_modules", "bower_components",
}  # fmt: skip
_built = frozenset(("build", "dist", "_build"))


class Found(NamedTuple):
    """A file: its path below the root, with `/`, and what the file system says of it. Times in nanoseconds."""

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


class Unread(NamedTuple):
    """A file or folder that could not be read or understood; line and column are 1 where nothing better is known."""

    path: str
    line: int
    column: int
    reason: str


class Walked(NamedTuple):
    """The files of a tree in the order of their paths, and the folders that could not be looked into."""

    files: list[Found]
    unread: list[Unread]


def walk(root: str, *, ignore: bool = True, wanted: Callable[[str], bool] | None = None) -> Walked:
    """The files below a folder. Links to folders are not followed, so no loop of links is ever walked.

    Without `ignore`, what .gitignore says and virtual environments, caches and build folders are walked too (but never
    a version control's own folder). `wanted` says by its name whether a file is; Python files by default.
    Raises OSError when the root itself cannot be looked into.
    """
    files: list[Found] = []
    unread: list[Unread] = []
    open_folders: list[tuple[str, Rules | None]] = [("", rules_above(root) if ignore else None)]
    with os.scandir(root):  # a root that cannot be read is an error, a folder below it an entry
        pass
    while open_folders:
        folder, rules = open_folders.pop()
        try:
            with os.scandir(f"{root}/{folder}" if folder else root) as listing:
                entries = list(listing)
        except OSError as problem:
            unread.append(Unread(folder, 1, 1, (problem.strerror or "cannot be read").lower()))
            continue
        if ignore:
            names = {entry.name for entry in entries}
            if folder and _is_made(folder, names):
                continue
            if ".gitignore" in names:
                rules = rules_of(root, folder, rules)
        for entry in entries:
            _look(entry, folder, rules, ignore, wanted, files, open_folders)
    files.sort()
    unread.sort()
    return Walked(files, unread)


def _look(
    entry: "os.DirEntry[str]",
    folder: str,
    rules: Rules | None,
    ignore: bool,
    wanted: Callable[[str], bool] | None,
    files: list[Found],
    open_folders: list[tuple[str, Rules | None]],
) -> None:
    name = entry.name
    is_wanted = name.endswith(SUFFIXES) if wanted is None else wanted(name)
    try:
        if not is_wanted:
            if not entry.is_dir(follow_symlinks=False):
                return
        elif entry.is_file():
            path = f"{folder}/{name}" if folder else name
            if rules is None or not rules.ignored(path, name, False):
                stat = entry.stat()
                files.append(Found(path, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino))
            return
        elif not entry.is_dir(follow_symlinks=False):
            return
    except OSError:
        return  # it was there a moment ago, or is a link to nowhere
    if name in _skipped and (ignore or name in _histories):
        return
    path = f"{folder}/{name}" if folder else name
    if rules is None or not rules.ignored(path, name, True):
        open_folders.append((path, rules))


def _is_made(folder: str, names: set[str]) -> bool:
    """A virtual environment, or what a build has left; `build` with an `__init__.py` is a package that is called so."""
    if "pyvenv.cfg" in names:
        return True
    return folder.rpartition("/")[2] in _built and "__init__.py" not in names
