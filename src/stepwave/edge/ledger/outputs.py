"""The outputs of an attempt that did not succeed are moved aside: half a file must not pass for a whole one.

Only what the attempt has touched is moved: what differs from how it lay there before, by its stat.
"""

import errno
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from stepwave.edge.ledger.expand import Stat, TooManyFiles, expand

FOLDER = "failed-outputs"

Before = Mapping[str, Stat | None]
"""How the outputs lay there before the attempt."""


def as_they_lie(patterns: Sequence[str]) -> Before:
    """The outputs as they are now."""
    try:
        return expand(patterns).files
    except TooManyFiles:
        return {}


def place_for(run_folder: Path, step: str, attempt: int) -> Path:
    """`<run folder>/failed-outputs/<step>.<attempt>`, whatever characters the id has."""
    return run_folder / FOLDER / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', step)[:80]}.{attempt}"


def move_aside(patterns: Sequence[str], before: Before, top: str, target: Path) -> int:
    """Move the outputs that differ from `before` below `target`, each with its path from `top` on; how many.

    What cannot be moved stays.
    """
    now = as_they_lie(patterns)
    moved = 0
    for path, status in now.items():
        if path not in before or before[path] != status:
            moved += _move(path, target / _inside(path, top))
    return moved


def _inside(path: str, top: str) -> str:
    """The path from `top` on; of a file elsewhere the whole of it, without what would lead out."""
    return path[len(top) + 1 :] if path.startswith(f"{top}/") else f"elsewhere{path}"


def _move(path: str, target: Path) -> bool:
    try:
        _make(target.parent)
        try:
            Path(path).rename(target)
        except OSError as problem:
            if problem.errno != errno.EXDEV:
                raise
            import shutil

            shutil.move(path, target)  # to another file system
    except OSError:
        return False
    return True


def _make(folder: Path) -> None:
    """With all around it, for nobody else to read."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        with suppress(FileExistsError):
            one.mkdir(mode=0o700)


def as_plain(before: Before) -> dict[str, list[int] | None]:
    """For JSON."""
    return {path: None if status is None else [*status] for path, status in before.items()}


def from_plain(document: Mapping[str, Iterable[int] | None]) -> Before:
    return {path: None if status is None else Stat._make(status) for path, status in document.items()}
