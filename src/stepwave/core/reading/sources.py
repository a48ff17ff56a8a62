"""Which other files a document asks for. They are read before `build`, which gets them as values.

A path is written as it is asked for, from the folder of the first file on, without `.` and `..` in the middle: the same
file has one path, whoever includes it. Links are not followed: a circle of them ends at `building.include.MAX_DEPTH`.
"""

from collections.abc import Iterator
from collections.abc import Sequence as List
from typing import NamedTuple

from stepwave.core.diagnostics import Diagnostic
from stepwave.core.reading.dialects import mappings_in, speaking
from stepwave.core.reading.document import Document, Mapping, Node, Scalar, Sequence
from stepwave.core.reading.env_file import EnvFile

MAX_FILES = 1_000
"""Files that one workflow may be made of."""


class Wanted(NamedTuple):
    """A file to read. `is_workflow`: to be parsed as one; else one of `dotenv`."""

    path: str
    is_workflow: bool


class Gathered(NamedTuple):
    """`documents` and `files` as `build.Inputs` has them, `texts` by the path that is shown."""

    documents: dict[str, Document | str | None]
    files: dict[str, EnvFile | str | None]
    findings: list[Diagnostic]
    texts: dict[str, str]


def joined(base: str, path: str, top: str) -> str:
    """`lib/x.yaml` as it stands in a file of the folder `flows`: `flows/lib/x.yaml`.

    `top` is the absolute folder of the first file: what lies in it is written as seen from there.
    """
    found = _joined(base, path)
    if found.startswith(("../", "/")):
        whole = _joined(top, found)
        if whole.startswith(top.rstrip("/") + "/"):
            return whole[len(top.rstrip("/")) + 1 :]
    return found


def _joined(base: str, path: str) -> str:
    parts: list[str] = []
    whole = path if path.startswith("/") or not base else f"{base}/{path}"
    for part in whole.split("/"):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part not in ("", ".") and not (part == ".." and whole.startswith("/")):
            parts.append(part)
    return ("/" if whole.startswith("/") else "") + "/".join(parts)


def folder(path: str) -> str:
    """The folder of a path: `flows/lib` of `flows/lib/x.yaml`, "" of `x.yaml`."""
    before, slash, _ = path.rpartition("/")
    return before or slash


def asks(document: Document) -> bool:
    """Whether it can ask for anything."""
    return "include" in document.text or "dotenv" in document.text


def asked(document: Document, base: str, top: str) -> list[Wanted]:
    """What a document in the folder `base` asks for, each once; `top` as in `joined`. What is no path is left out:
    `build` will tell."""
    found: list[Wanted] = []
    if "include" in document.text:
        for mapping in _tops(document.root):
            found += [Wanted(joined(base, path, top), True) for path, _ in include_paths(mapping.get("include"))]
    if "dotenv" in document.text:
        for mapping in speaking(document.root):
            found += [Wanted(joined(base, path, top), False) for path in dotenv_paths(mapping.get("dotenv"))]
    return list(dict.fromkeys(found))


def _tops(root: Node) -> Iterator[Mapping]:
    if isinstance(root, Mapping):
        yield root
        yield from mappings_in(root.get("workflows"))
    elif isinstance(root, Sequence):
        yield from mappings_in(root)


def include_paths(node: Node | None) -> Iterator[tuple[str, Node]]:
    """The paths in the value of `include`: a text, `{file, as}`, or a list of them; each with its node."""
    for item in node.items if isinstance(node, Sequence) else [node]:
        named = item.get("file") if isinstance(item, Mapping) else item
        if isinstance(named, Scalar) and isinstance(named.value, str) and is_path(named.value):
            yield named.value, named


def dotenv_paths(node: Node | None) -> Iterator[str]:
    """The paths in the value of `dotenv`, without the `?` of one that may be missing."""
    for item in node.items if isinstance(node, Sequence) else [node]:
        if isinstance(item, Scalar) and isinstance(item.value, str):
            path = item.value.removesuffix("?")
            if is_path(path):
                yield path


def is_path(text: str) -> bool:
    """Whether it can name a file: not empty, no NUL, no reference, which nothing could fill in this early."""
    return bool(text.strip()) and "\0" not in text and "{{" not in text and "${" not in text


# --- a folder of workstreams -----------------------------------------------------------------------------------------


def not_included(documents: List[Document], top: str) -> list[Document]:
    """Those of a folder that no other one of it includes; all of them, if each is."""
    included = {wanted.path for one in documents if asks(one) for wanted in asked(one, "", top) if wanted.is_workflow}
    left = [one for one in documents if one.path.rpartition("/")[2] not in included]
    return left or [*documents]


def are_workstreams(documents: List[Document]) -> bool:
    """Whether files of a folder speak of each other: one depends on another, or two have the same id."""
    ids: set[str] = set()
    needs: set[str] = set()
    for document in documents:
        own, needed = _names(document)
        if not ids.isdisjoint(own):
            return True
        ids |= own
        needs |= needed - own
    return not ids.isdisjoint(needs)


def _names(document: Document) -> tuple[set[str], set[str]]:
    """The ids that the workstreams of a file have, and those that they depend on."""
    tops = [*_tops(document.root)]
    ids = (text for top in tops for key in ("id", "plan_id", "workstream_id", "bundle_id") for text in _texts(top, key))
    needs = (text for top in tops for key in ("depends_on", "dependsOn", "dependencies") for text in _texts(top, key))
    return set(ids), set(needs)


def _texts(mapping: Mapping, key: str) -> Iterator[str]:
    node = mapping.get(key)
    for item in node.items if isinstance(node, Sequence) else [node]:
        if isinstance(item, Scalar) and isinstance(item.value, str):
            yield item.value
