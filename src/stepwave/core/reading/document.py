"""A read file as a tree that remembers where everything stood.

Every node carries its `Span`, every scalar the text as it was written: diagnostics point with the one and
`22:22`, `010` or `1.10` reach a step unchanged through the other. Nodes are plain objects: a large file
has a hundred thousand of them, and importing dataclasses alone costs some 8 ms at every start.
"""

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from stepwave.core.diagnostics import Place

type_names = {type(None): "null", bool: "a boolean", int: "an integer", float: "a number", str: "a string"}


class Span(NamedTuple):
    """Line and column of the first character and of the one after the last, counted from 1, in characters."""

    line: int
    column: int
    end_line: int
    end_column: int


class _Part:
    """Equal by what it holds, like any value."""

    __slots__: tuple[str, ...] = ()
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and all(getattr(self, n) == getattr(other, n) for n in self.__slots__)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{n}={getattr(self, n)!r}' for n in self.__slots__)})"


class Scalar(_Part):
    """`text` is what was written, `value` what it means; `quoted`: in quotes or as a block."""

    __slots__ = ("quoted", "span", "text", "value")

    def __init__(self, value: bool | int | float | str | None, text: str, span: Span, quoted: bool = False) -> None:
        self.value = value
        self.text = text
        self.span = span
        self.quoted = quoted


class Sequence(_Part):
    __slots__ = ("items", "span")

    def __init__(self, items: list["Node"], span: Span) -> None:
        self.items = items
        self.span = span


class Mapping(_Part):
    """Keys are text as written; `keys` holds where each stood. Order is that of the file."""

    __slots__ = ("entries", "keys", "span")

    def __init__(self, entries: dict[str, "Node"], keys: dict[str, Span], span: Span) -> None:
        self.entries = entries
        self.keys = keys
        self.span = span

    def items(self) -> Iterator[tuple[str, "Node"]]:
        yield from self.entries.items()

    def get(self, key: str) -> "Node | None":
        return self.entries.get(key)


Node = Scalar | Sequence | Mapping


class Syntax(Enum):
    YAML = "yaml"
    JSON = "json"


class Document(NamedTuple):
    """One parsed file: its name for messages, its text for excerpts, its syntax and its root node."""

    path: str
    text: str
    syntax: Syntax
    root: Node

    def place(self, span: Span) -> Place:
        return Place(self.path, span.line, span.column, span.end_line, span.end_column)


def beginning(node: Node) -> Span:
    """Where it begins: of a mapping its first key, not all its lines."""
    return next(iter(node.keys.values()), node.span) if isinstance(node, Mapping) else node.span


def plain(node: Node) -> object:
    """The node as Python values: dict, list, str, int, float, bool, None.

    Recursive: `parse` bounds the depth of a document (see `parse.MAX_DEPTH`), so this cannot run away.
    """
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {key: plain(value) for key, value in node.entries.items()}


def plain_as_written(node: Node) -> object:
    """The same, but that numbers remember how they were written. For what ends up in texts."""
    if isinstance(node, Scalar):
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            return node.value
        from stepwave.core.written import as_written

        return as_written(node.value, node.text)
    if isinstance(node, Sequence):
        return [plain_as_written(item) for item in node.items]
    return {key: plain_as_written(value) for key, value in node.entries.items()}


def kind(node: Node) -> str:
    """What a person would call this node: `a list`, `a mapping`, `a string` …"""
    if isinstance(node, Scalar):
        return type_names[type(node.value)]
    return "a list" if isinstance(node, Sequence) else "a mapping"
