"""The other files that a workflow is made of, read before it is built: what it includes, and its `dotenv` files."""

import os

from stepwave.core.reading.document import Document
from stepwave.core.reading.env_file import EnvFile
from stepwave.core.reading.sources import MAX_FILES, Gathered, Wanted, asked, folder

MAX_TOTAL = 64 << 20
"""Bytes that all of them may have together."""


def gather(document: Document, top: str, around: str, into: Gathered | None = None) -> Gathered:
    """Read what a document asks for, and what that asks for. `top` is the absolute folder of the document, `around` the
    same as people write it. Never raises for a bad file."""
    gathered = into or Gathered({}, {}, [], {})
    waiting = asked(document, "", top)
    left = MAX_TOTAL - sum(map(len, gathered.texts.values()))
    while waiting:
        wanted = waiting.pop(0)
        known = gathered.documents if wanted.is_workflow else gathered.files
        if wanted.path in known or len(known) >= MAX_FILES:
            continue
        data = _read(wanted, os.path.join(around, wanted.path), left)  # noqa: PTH118 - the path is shown as it is
        left -= len(data) if isinstance(data, bytes) else 0
        if wanted.is_workflow:
            inner = _parsed(data, wanted.path, os.path.join(around, wanted.path), gathered)  # noqa: PTH118
            waiting += asked(inner, folder(wanted.path), top) if inner else []
        else:
            gathered.files[wanted.path] = _env_file(data, os.path.join(around, wanted.path))  # noqa: PTH118
    return gathered


def _read(wanted: Wanted, shown: str, left: int) -> bytes | str | None:
    """What is in the file, or why it cannot be read; None where a `dotenv` file is missing."""
    from stepwave.edge.files import CannotRead, read_bytes

    if not wanted.is_workflow and not os.path.lexists(shown):
        return None
    try:
        data = read_bytes(shown, named_in_file=True)
    except CannotRead as problem:
        return str(problem)
    return (
        data if len(data) <= left else f"`{shown}` is too much: all files together have more than {MAX_TOTAL:,} bytes"
    )


def _parsed(data: bytes | str | None, path: str, shown: str, gathered: Gathered) -> Document | None:
    from stepwave.core.reading.parse import parse

    if not isinstance(data, bytes):
        gathered.documents[path] = data
        return None
    document, found = parse(data, shown)
    gathered.documents[path] = document
    gathered.findings.extend(found)
    gathered.texts[shown] = document.text if document else data.decode("utf-8", "replace")
    return document


def _env_file(data: bytes | str | None, shown: str) -> EnvFile | str | None:
    if not isinstance(data, bytes):
        return data
    from stepwave.edge.dotenv import parse_dotenv

    parsed = parse_dotenv(data)
    return EnvFile(parsed.values, parsed.faults, shown)
