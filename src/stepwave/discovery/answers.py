"""The question where a symbol is used, and the answer. Nothing is imported here that takes time."""

from typing import NamedTuple

from stepwave.discovery.walk import Unread

KINDS = (
    "definition", "import", "import_alias", "call", "read", "write", "del", "base_class", "decorator", "annotation",
    "string_annotation", "dunder_all", "keyword", "alias", "string", "comment",
)  # fmt: skip
TYPES = {
    "function": ("function", "method"),
    "class": ("class",),
    "variable": ("variable", "attribute", "parameter", "local"),
    "module": ("module",),
}


class Query(NamedTuple):
    """What is asked. `type` is function, class, variable, module or any; `kinds` empty for all but loose ones."""

    symbol: str
    type: str = "any"
    possible: bool = False
    loose: bool = False
    uses: bool = True
    ignore: bool = True


class Use(NamedTuple):
    """One place. Columns count characters from 1; `symbol` is the dotted name of what is meant there.

    `certain` is false for an attribute of that name of something nobody knows the type of.
    """

    path: str
    line: int
    column: int
    end_column: int
    kind: str
    symbol: str
    certain: bool
    text: str


class Target(NamedTuple):
    """A thing that the question is about. `what` is function, method, class, variable, attribute, …, or external."""

    symbol: str
    what: str
    path: str
    line: int


class Usage(NamedTuple):
    """The answer, in the order of path, line and column."""

    targets: tuple[Target, ...]
    uses: tuple[Use, ...]
    possible: int
    scanned: int
    unread: tuple[Unread, ...]
