"""Reading code: what is in a tree, where a symbol is used, what calls what.

Nothing is imported before a function is called.
"""

from collections.abc import Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from stepwave.discovery.configs import ConfigInfo
    from stepwave.discovery.definitions import Definition

__all__ = [
    "FunctionInfo",
    "SymbolUsage",
    "build_call_graph",
    "discover_configs",
    "discover_functions",
    "find_symbol",
    "find_symbol_usage",
    "fuzzy_find_symbol",
]

Path = str | PathLike[str]


class FunctionInfo(NamedTuple):
    """A function, method or class. Lines count from 1.

    `parameters` are the names, with `*` and `**` before those that take the rest; `signature` is as it stands in the
    file, with `/`, `*`, annotations and defaults. `kind` is function, method, classmethod, staticmethod, property,
    class or nested.
    """

    name: str
    signature: str
    file_path: str
    line_number: int
    docstring: str | None
    decorators: list[str]
    parameters: list[str]
    return_type: str | None
    qualname: str
    module: str
    is_async: bool
    is_generator: bool
    is_public: bool
    kind: str
    end_line: int
    complexity: int
    bases: list[str]
    hash: str


class SymbolUsage(NamedTuple):
    """A place where a symbol is used. Lines and columns count from 1, columns in characters.

    `context` is the line, without the white space around it. `symbol` is the dotted name of what is meant there.
    `certain` is False for an attribute of that name of something whose type nobody knows.
    """

    file: str
    line: int
    column: int
    context: str
    kind: str
    symbol: str
    certain: bool


def discover_functions(
    module_path: Path, pattern: str | None = None, *, private: bool = False, classes: bool = False
) -> list[FunctionInfo]:
    """The public functions and methods of a file, or of all files below a folder, by path and line.

    `pattern` is a regular expression that is searched for in the names. `private` adds what begins with `_`, is nested
    in a function or is left out of `__all__`; `classes` adds classes. A file below a folder that does not parse is left
    out. Raises FileNotFoundError for a path that is not there, SyntaxError for a single file that does not parse, and
    ValueError for a pattern that is none.
    """
    import os
    import re

    from stepwave.discovery.listing import DEFINITION_KINDS, Wanted, list_definitions

    path = fspath(module_path)
    kinds = DEFINITION_KINDS if classes else tuple(kind for kind in DEFINITION_KINDS if kind != "class")
    try:
        listing = list_definitions([path], Wanted(pattern or "", private, kinds))
    except re.error as problem:
        raise ValueError(f"`{pattern}` is no regular expression: {problem}") from None
    if listing.unread and not os.path.isdir(path):  # noqa: PTH112
        bad = listing.unread[0]
        raise SyntaxError(bad.reason, (path, bad.line, bad.column, None))
    return [_info(definition) for definition in listing.definitions]


def discover_configs(repo_root: Path, domain: str | None = None) -> "list[ConfigInfo]":
    """The configuration files below a folder, by path; with `domain`, those of which a word of the path is it.

    Raises OSError when the folder cannot be looked into.
    """
    from stepwave.discovery.configs import list_configs
    from stepwave.discovery.listing import shown_prefix

    root = fspath(repo_root)
    return list(list_configs(root, domain, prefix=shown_prefix(root)).configs)


def find_symbol_usage(symbol_name: str, repo_root: Path, *, possible: bool = False) -> list[SymbolUsage]:
    """All places below a folder that mean a symbol, under whatever name it goes there, by path, line and column.

    The name may be dotted (`package.module.Class.method`, or its end). `possible` adds attributes of that name of
    things whose type nobody knows. Raises OSError when the folder cannot be looked into.
    """
    return _usage(symbol_name, repo_root, "any", possible=possible, uses=True)


def find_symbol(symbol_name: str, repo_root: Path, *, type: str = "any") -> list[SymbolUsage]:
    """Where a symbol is defined. `type` is function, class, variable, module or any; ValueError for another one."""
    return _usage(symbol_name, repo_root, type, possible=False, uses=False)


def fuzzy_find_symbol(symbol_name: str, repo_root: Path, *, threshold: float = 0.6) -> list[FunctionInfo]:
    """Functions, methods and classes whose names are near to one, the nearest first.

    `threshold` lies between 0 (everything) and 1 (the same but for case and underscores); the measure is the ratio of
    difflib. Raises OSError when the folder cannot be looked into, ValueError for another threshold.
    """
    from stepwave.discovery.listing import near_definitions

    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold must lie between 0 and 1, not {threshold}")
    return [_info(definition) for definition, _ in near_definitions(fspath(repo_root), symbol_name, threshold)[0]]


def build_call_graph(entry_point: Path, repo_root: Path | None = None) -> dict[str, list[str]]:
    """What a program calls, from an entry point on: see docs/call-graphs.md."""
    from stepwave.discovery import calls

    return calls.build_call_graph(entry_point, repo_root)  # type: ignore[no-any-return, attr-defined, unused-ignore]


def _usage(symbol: str, root: Path, type: str, *, possible: bool, uses: bool) -> list[SymbolUsage]:
    from stepwave.discovery.answers import TYPES, Query
    from stepwave.discovery.listing import shown_prefix
    from stepwave.discovery.usage import usage_of

    if type != "any" and type not in TYPES:
        raise ValueError(f"type must be any, {', '.join(TYPES)}, not `{type}`")
    folder = fspath(root)
    prefix = shown_prefix(folder)
    found = usage_of(folder, Query(symbol, type, possible, uses=uses))
    return [
        SymbolUsage(f"{prefix}{use.path}", use.line, use.column, use.text, use.kind, use.symbol, use.certain)
        for use in found.uses
    ]


def _info(definition: "Definition") -> FunctionInfo:
    from inspect import cleandoc

    d = definition
    return FunctionInfo(
        d.name,
        f"{d.name}{d.signature}",
        d.path,
        d.line,
        cleandoc(d.docstring) if d.docstring else None,
        list(d.decorators),
        _names(d.parameters),
        d.returns or None,
        d.qualname,
        d.module,
        d.is_async,
        d.is_generator,
        d.is_public,
        d.kind,
        d.end_line,
        d.complexity,
        list(d.bases),
        d.hash,
    )


def _names(parameters: Sequence[Any]) -> list[str]:
    marks = {"var-positional": "*", "var-keyword": "**"}
    return [f"{marks.get(parameter.kind, '')}{parameter.name}" for parameter in parameters]
