"""Finding workflow files below a folder."""

import os
from pathlib import Path

_skipped = {"node_modules", "__pycache__", "venv", "site-packages"}
_suffixes = (".yaml", ".yml", ".json")
_marks = (b"steps", b"workflows", b"phases", b"depends_on", b"dependsOn")
_deepest = 12
_beginning = 256 * 1024


def candidates(folder: str, most: int | None = None) -> list[str]:
    """YAML and JSON files below `folder`, sorted; dot folders, links and dependency folders are not entered.

    `most`: so many files and folders are looked at, and no more; for a hint, which is not worth a whole disk.
    """
    found: list[str] = []
    looked_at = 0
    base = Path(folder)
    for here, folders, files in os.walk(base):
        looked_at += 1 + len(files)
        if most is not None and looked_at > most:
            break
        depth = len(Path(here).relative_to(base).parts)
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and name not in _skipped and depth < _deepest
        )
        found += [str(Path(here) / name) for name in files if name.endswith(_suffixes) and not name.startswith(".")]
    return sorted(found)


def workflows_in(folder: str) -> list[str]:
    """The workflow files directly in `folder`, sorted; links are followed, dot files are not looked at."""
    try:
        files = sorted(Path(folder).iterdir())
    except OSError:
        return []
    named = (file for file in files if file.name.endswith(_suffixes) and not file.name.startswith("."))
    return [str(file) for file in named if file.is_file() and looks_like_workflow(str(file))]


def looks_like_workflow(path: str) -> bool:
    """Whether it is worth parsing: one of the words without which a file is no workflow stands near its beginning."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(_beginning)
    except OSError:
        return False
    return (any(mark in head for mark in _marks) or _is_for_an_agent(head)) and not _is_schema(head)


def _is_for_an_agent(head: bytes) -> bool:
    """A workstream without steps: it has tasks, and says whose they are."""
    if b"tasks" not in head:
        return False
    import re

    return all(re.search(rb"(?m)[\s\"'{,](%s)[\"']?\s*:" % key, b" " + head) for key in (rb"tasks", rb"tool|agent"))


def _is_schema(head: bytes) -> bool:
    return b'"$schema"' in head and b"json-schema.org" in head
