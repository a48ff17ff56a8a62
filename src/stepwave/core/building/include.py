"""`include`: the steps of other files, under a name of their own.

The files are values here: somebody else has read them (`stepwave.core.reading.sources`).
"""

import re
from collections.abc import Mapping as Map
from typing import NamedTuple

from stepwave.core.building.fields import (
    Found,
    Given,
    Reading,
    every,
    gather,
    is_missed,
    one,
    quoted,
    text,
    wrong_type,
)
from stepwave.core.building.parts import Part
from stepwave.core.building.shape import Sheet, sheets_of
from stepwave.core.building.step import MAX_ID
from stepwave.core.building.workflow import slug
from stepwave.core.model import Dialect
from stepwave.core.reading import keys
from stepwave.core.reading.dialects import family_of, mappings_in
from stepwave.core.reading.document import Document, Mapping, Node, Scalar, Span, beginning
from stepwave.core.reading.document import Sequence as List
from stepwave.core.reading.sources import MAX_FILES, folder, is_path, joined
from stepwave.core.text import one_line

MAX_DEPTH = 20
MAX_STEPS = 100_000
"""Steps of all included files together: a small file may be included often."""

_address = re.compile("[A-Za-z][A-Za-z0-9+.-]*://")
_id = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\Z")


class _Way(NamedTuple):
    """How a file came to be read: the paths from the first one on, and how many files there are by now."""

    documents: Map[str, Document | str | None]
    path: tuple[str, ...]
    counted: list[int]

    def stop(self) -> None:
        """There are too many by now, which is told once."""
        self.counted[0] = MAX_FILES + 1


def with_included(part: Part, documents: Map[str, Document | str | None], path: str, counted: list[int]) -> Part:
    """The part with all that it includes, and what that includes. `path` is that of its file, `counted` how many files
    and steps there have been."""
    if "include" not in part.sheet.found:
        return part
    return _with_included(part, _Way(documents, (path,), counted))


def _with_included(part: Part, way: _Way) -> Part:
    inner: list[Part] = []
    taken: dict[str, Span] = {}
    for given in every(part.sheet.found, "include"):
        for entry in given.node.items if isinstance(given.node, List) else [given.node]:
            asked = _entry(part.r, given.key, entry)
            if asked is None:
                continue
            path, name, span = asked
            if name in taken:
                message = f"two included files are called {quoted(name)}"
                help = f"the first one is in line {taken[name].line}; give one another name: `{{file: …, as: …}}`"
                part.r.error("duplicate-id", message, span, help)
                continue
            taken[name] = span
            made = _open(part, joined(part.r.base, path, part.r.folder), name, span, way)
            if made is not None:
                inner.append(made)
            else:
                part.r.unread.add(f"{part.scope}{name}.")
    return part._replace(inner=tuple(inner))


def _entry(r: Reading, key: str, node: Node) -> tuple[str, str, Span] | None:
    """Path, name and place of one entry: a text, or `{file, as}`."""
    if isinstance(node, Mapping):
        found: Found = {}
        gather(r, node, keys.include, found, f"{key}.")
        path, name = one(r, found, "file", text), one(r, found, "as", text)
        if is_missed(found, "file"):
            r.error("missing-key", f"an entry of `{key}` needs a `file`", beginning(node))
        if path is None:
            return None
        span = found["file"].node.span
    elif isinstance(node, Scalar) and isinstance(node.value, str):
        path, name, span = node.value, None, node.span
    else:
        wrong_type(r, Given(key, node, node.span), "a path, `{file: …, as: …}`, or a list of them")
        return None
    if not is_path(path):
        message = f"{quoted(path)} cannot be the path of a file to include"
        r.error("bad-value", message, span, "write the path as it is: nothing is filled in here")
        return None
    if _address.match(path):
        message = f"{quoted(path)} is an address, and nothing is fetched from a network"
        r.error("cannot-include", message, span, "put a copy of the file beside this one")
        return None
    made = name if name is not None else _stem(path)
    if not _id.match(made) or len(made) > MAX_ID:
        help = f"give it a name: `{{file: {one_line(path, 60)}, as: {slug(made) or 'name'}}}`"
        r.error("bad-id", f"{quoted(made)} cannot be the beginning of step ids", span, help)
        return None
    return path, made, span


def _stem(path: str) -> str:
    name = path.rpartition("/")[2]
    return name.rpartition(".")[0] or name


def _open(part: Part, path: str, name: str, span: Span, way: _Way) -> Part | None:
    """The part that an included file is; None once it is told why not."""
    r = part.r
    if path in way.path:
        chain = " -> ".join(one_line(step, 60) for step in (*way.path[way.path.index(path) :], path))
        r.error("include-cycle", f"{quoted(path)} includes itself: {chain}", span, "take one of these includes away")
        return None
    if len(way.path) > MAX_DEPTH or way.counted[0] >= MAX_FILES:
        if way.counted[0] <= MAX_FILES:
            _tell_too_many(r, path, span, way)
        return None
    way.counted[0] += 1
    document = way.documents.get(path)
    if isinstance(document, str):
        missing = document.endswith("does not exist")
        help = "the path starts from the folder of this file" if missing else None
        r.error("cannot-include", document, span, help)
    if not isinstance(document, Document):
        return None  # what is wrong inside it has been told where it was read
    return _part_of(part, document, path, name, span, way)


def _part_of(part: Part, document: Document, path: str, name: str, span: Span, way: _Way) -> Part | None:
    r = part.r
    family = family_of(document.root)
    other = r.beside(document, family.unit, dollar=family.dialect is not Dialect.CAMEL, base=folder(path))
    sheets = sheets_of(other, document.root, None)
    if any(sheet.id for sheet in sheets) or len(sheets) > 1:
        message = f"{quoted(path)} holds workstreams, which cannot be included"
        r.error("cannot-include", message, span, "include the files of the workstreams one by one")
        return None
    other.prefix = f"{part.scope}{name}."
    way.counted[1] += sum(map(_size, sheets))
    if way.counted[1] > MAX_STEPS:
        r.error("too-many-files", f"more than {MAX_STEPS:,} steps are included", span, "include less")
        way.stop()
        return None
    made = [Part(other, sheet, other.prefix, part.stream) for sheet in sheets]
    return _with_included(made[0], way._replace(path=(*way.path, path))) if made else None


def _size(sheet: Sheet) -> int:
    """How many steps are in a file, those of its phases among them."""
    phases = sheet.found["phases"].node if "phases" in sheet.found else None
    inner = (phase.get(key) for phase in mappings_in(phases) for key in ("steps", "tasks"))
    return len(sheet.items) + len(sheet.last) + sum(1 for steps in inner for _ in mappings_in(steps))


def _tell_too_many(r: Reading, path: str, span: Span, way: _Way) -> None:
    way.stop()
    if len(way.path) > MAX_DEPTH:
        message = f"{quoted(path)} is included in a file that is included in another, and so on {MAX_DEPTH} times"
        r.error("too-many-files", message, span, "join some of them; if a link leads in a circle, take it away")
    else:
        r.error("too-many-files", f"more than {MAX_FILES:,} files are included", span, "join some of them")
