"""What a file defines: functions, methods and classes, each as one record.

Only statements are walked. Expressions are looked into where their lines hold a word that counts (`and`, `if`,
`yield` …), which few do: walking all of them takes longer than parsing.
"""

import ast
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from stepwave.discovery.occurrences import plain
from stepwave.discovery.outline import names_of_all
from stepwave.discovery.scopes import module_scope

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_counted = re.compile(rb"\b(?:and|or|if|for|yield|lambda)\b")
_counting = frozenset(
    [ast.BoolOp, ast.IfExp, ast.Lambda, ast.Yield, ast.YieldFrom, ast.ListComp, ast.SetComp, ast.DictComp,
     ast.GeneratorExp]
)  # fmt: skip
_plain = frozenset([ast.Name, ast.Constant, type(None)])
_texts = frozenset(
    ["ctx", "op", "ops", "attr", "arg", "id", "name", "names", "module", "level", "kind", "type_comment",
     "is_async", "conversion", "simple", "type_ignores", "asname", "rest", "kwd_attrs"]
)  # fmt: skip
"""Fields in which no expression stands."""
_inside: dict[type, tuple[str, ...]] = {}
_blocks: dict[type, tuple[str, ...]] = {
    ast.FunctionDef: (), ast.AsyncFunctionDef: (), ast.ClassDef: (), ast.If: ("orelse", "body"),
    ast.For: ("orelse", "body"), ast.AsyncFor: ("orelse", "body"), ast.While: ("orelse", "body"),
    ast.With: ("body",), ast.AsyncWith: ("body",), ast.Match: ("cases",), ast.match_case: ("body",),
    ast.Try: ("finalbody", "orelse", "handlers", "body"), ast.TryStar: ("finalbody", "orelse", "handlers", "body"),
    ast.ExceptHandler: ("body",),
}  # fmt: skip
"""The compound statements, with the fields that hold statements, the last one first."""
_heads: dict[type, tuple[str, ...]] = {
    ast.If: ("test",), ast.For: ("target", "iter"), ast.AsyncFor: ("target", "iter"), ast.While: ("test",),
    ast.With: ("items",), ast.AsyncWith: ("items",), ast.Match: ("subject",), ast.match_case: ("guard",),
    ast.Try: (), ast.TryStar: (), ast.ExceptHandler: ("type",),
}  # fmt: skip
_branching = {ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.match_case}
_worded = {ast.If, ast.For, ast.AsyncFor}
_short_heads = {ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.ExceptHandler}
_properties = {"property", "cached_property", "abstractproperty"}


class Parameter(NamedTuple):
    """`kind` is positional-only, positional, var-positional, keyword-only or var-keyword; absent texts are empty."""

    name: str
    kind: str
    annotation: str
    default: str


class Definition(NamedTuple):
    """A function or class. `kind` is function, method, classmethod, staticmethod, property, class or nested.

    Lines count from 1 and end with the last one, columns from 1 in characters. `is_public` is false for the reason
    that `private` gives: `_`, `nested` or `__all__`. `complexity` is 1 + one for each `if`, `elif`, loop, `except`,
    `case`, boolean operator, conditional expression, and `for` and `if` of a comprehension (McCabe, 1976, counted in
    the source); 0 for a class. Two definitions with the same `hash` differ in nothing but name and indentation.
    """

    path: str
    line: int
    column: int
    end_line: int
    name: str
    qualname: str
    module: str
    kind: str
    is_async: bool
    is_generator: bool
    is_public: bool
    private: str
    signature: str
    parameters: tuple[Parameter, ...]
    returns: str
    decorators: tuple[str, ...]
    docstring: str
    complexity: int
    bases: tuple[str, ...]
    hash: str


class _Counts:
    """What is being counted of the function that is walked."""

    __slots__ = ("branches", "yields")

    def __init__(self) -> None:
        self.branches = 0
        self.yields = False


def definitions_of(tree: ast.Module, data: bytes) -> list[tuple[Any, ...]]:
    """The definitions of a file in the order of their lines, as plain tuples: a Definition without path and module."""
    reader = _Reader(tree, plain(data))
    reader.body(tree.body, "", "module", True, None)
    reader.found.sort(key=lambda record: (record[0], record[1]))
    return reader.found


def as_definition(path: str, module: str, record: Sequence[Any]) -> Definition:
    line, column, end_line, name, qualname, *rest = record
    kind, is_async, is_generator, public, private, signature, parameters, *more = rest
    made = tuple(map(Parameter._make, parameters))
    return Definition(
        path, line, column, end_line, name, qualname, module, kind, is_async, is_generator, public, private, signature,
        made, *more,
    )  # fmt: skip


class _Reader:
    def __init__(self, tree: ast.Module, text: bytes) -> None:
        self.lines = text.split(b"\n")
        self.all: Sequence[str] | None = None
        if b"__all__" in text:
            self.all = names_of_all(module_scope(tree, b"").table.get("__all__", ()))
        self.found: list[tuple[Any, ...]] = []
        self.counts = _words_by_line(text)
        self.counted = sorted(self.counts)

    def body(self, body: Sequence[ast.AST], prefix: str, around: str, public: bool, counts: "_Counts | None") -> None:
        """Walk the statements of a module, class or function; `around` says which."""
        stack = list(reversed(body))
        while stack:
            node: Any = stack.pop()
            kind = type(node)
            blocks = _blocks.get(kind)
            if blocks is None:  # a simple statement
                if counts is not None and self._touched(node):
                    self._count_within(node, counts)
            elif kind is ast.ClassDef:
                self._class(node, prefix, around, public)
            elif kind is ast.FunctionDef or kind is ast.AsyncFunctionDef:
                self._function(node, prefix, around, public)
            else:
                if counts is not None:
                    self._count_head(node, kind, counts)
                for field in blocks:
                    stack += reversed(getattr(node, field))

    # --- counting ----------------------------------------------------------------------------------------------

    def _count_head(self, node: Any, kind: type, counts: _Counts) -> None:
        """A compound statement itself, and the expressions in its head."""
        counts.branches += kind in _branching
        if kind in _worded and self.counts.get(node.lineno):
            self.counts[node.lineno] -= 1  # the word of the statement itself
        if kind in _short_heads and node.body[0].lineno == node.lineno + 1 and not self.counts.get(node.lineno):
            return
        for field in _heads[kind]:
            head = getattr(node, field)
            for each in head if isinstance(head, list) else (head,):
                if each is not None and self._touched(each):
                    self._count_within(each, counts)

    def _touched(self, node: Any) -> bool:
        """Whether a line of a node holds a word that counts."""
        first = getattr(node, "lineno", None)
        if first is None:  # an item of `with`
            return True
        last = node.end_lineno
        if first == last:
            return bool(self.counts.get(first))
        index = bisect_left(self.counted, first)
        return index < len(self.counted) and self.counted[index] <= last

    def _count_within(self, node: ast.AST, counts: _Counts) -> None:
        """What counts in an expression. This is most of the work where there is any: no node is asked twice."""
        stack: list[Any] = [node]
        while stack:
            each = stack.pop()
            kind = each.__class__
            if kind in _plain:
                continue
            if kind in _counting:
                if kind is ast.Lambda:  # its yield makes a generator of the lambda alone
                    inner = _Counts()
                    self._count_within(each.body, inner)
                    counts.branches += inner.branches
                    continue
                _count(each, kind, counts)
            fields = _inside.get(kind)
            for field in _fields_of(kind) if fields is None else fields:
                value = getattr(each, field, None)
                if value.__class__ is list:
                    stack += value
                elif value is not None:
                    stack.append(value)

    # --- records -----------------------------------------------------------------------------------------------

    def _function(self, node: _Function, prefix: str, around: str, public: bool) -> None:
        counts = _Counts()
        qualname = f"{prefix}{node.name}"
        private = self._private(node.name, around, public)
        decorators = tuple([self._text(each) for each in node.decorator_list])
        self.body(node.body, f"{qualname}.", "function", False, counts)
        parameters = list(self._parameters(node.args))
        returns = self._text(node.returns) if node.returns else ""
        self.found.append(
            (
                *self._place(node),
                node.name,
                qualname,
                _kind(decorators, around),
                isinstance(node, ast.AsyncFunctionDef),
                counts.yields,
                not private,
                private,
                _signature(parameters, returns),
                parameters,
                returns,
                decorators,
                _docstring(node.body),
                1 + counts.branches,
                (),
                self._hash(node),
            )
        )

    def _class(self, node: ast.ClassDef, prefix: str, around: str, public: bool) -> None:
        qualname = f"{prefix}{node.name}"
        private = self._private(node.name, around, public)
        bases = [self._text(base) for base in node.bases]
        keywords = [f"{k.arg}={self._text(k.value)}" if k.arg else f"**{self._text(k.value)}" for k in node.keywords]
        decorators = tuple([self._text(each) for each in node.decorator_list])
        self.body(node.body, f"{qualname}.", "class", not private, None)
        inside = ", ".join([*bases, *keywords])
        self.found.append(
            (
                *self._place(node),
                node.name,
                qualname,
                "class",
                False,
                False,
                not private,
                private,
                f"({inside})" if inside else "",
                [],
                "",
                decorators,
                _docstring(node.body),
                0,
                tuple(bases),
                self._hash(node),
            )
        )

    def _private(self, name: str, around: str, public: bool) -> str:
        """Why something is not public, or nothing."""
        if around == "function":
            return "nested"
        if around == "module" and self.all is not None:
            return "" if name in self.all else "_" if name.startswith("_") else "__all__"
        if name.startswith("_"):
            return "_"
        if not public:
            return "nested" if around == "function" else "_"
        return ""

    def _place(self, node: Any) -> tuple[int, int, int]:
        line = self.lines[node.lineno - 1]
        column = node.col_offset if line.isascii() else len(line[: node.col_offset].decode("utf-8", "replace"))
        return node.lineno, column + 1, node.end_lineno

    def _text(self, node: ast.expr) -> str:
        """An expression as it stands in the file; written anew when it goes over several lines."""
        if node.lineno != node.end_lineno:
            return ast.unparse(node)
        text = self.lines[node.lineno - 1][node.col_offset : node.end_col_offset].decode("utf-8", "replace")
        return text if text else ast.unparse(node)

    def _parameters(self, arguments: ast.arguments) -> Iterator[tuple[str, str, str, str]]:
        positional = [*arguments.posonlyargs, *arguments.args]
        missing = len(positional) - len(arguments.defaults)
        for index, arg in enumerate(positional):
            default = self._text(arguments.defaults[index - missing]) if index >= missing else ""
            kind = "positional-only" if index < len(arguments.posonlyargs) else "positional"
            yield self._parameter(arg, kind, default)
        if arguments.vararg:
            yield self._parameter(arguments.vararg, "var-positional", "")
        for arg, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
            yield self._parameter(arg, "keyword-only", self._text(value) if value else "")
        if arguments.kwarg:
            yield self._parameter(arguments.kwarg, "var-keyword", "")

    def _parameter(self, arg: ast.arg, kind: str, default: str) -> tuple[str, str, str, str]:
        return arg.arg, kind, self._text(arg.annotation) if arg.annotation else "", default

    def _hash(self, node: Any) -> str:
        first = self.lines[node.lineno - 1]
        indent = first[: node.col_offset]
        name = first.find(node.name.encode(), node.col_offset) + len(node.name.encode())
        body = b"\n".join([first[name:], *self.lines[node.lineno : node.end_lineno]])
        return blake2b(body.replace(b"\n" + indent, b"\n") if indent else body, digest_size=8).hexdigest()


def _count(node: Any, kind: type, counts: _Counts) -> None:
    if kind is ast.BoolOp:
        counts.branches += len(node.values) - 1
    elif kind is ast.IfExp:
        counts.branches += 1
    elif kind is ast.Yield or kind is ast.YieldFrom:
        counts.yields = True
    else:
        counts.branches += sum(1 + len(part.ifs) for part in node.generators)


def _fields_of(kind: type) -> tuple[str, ...]:
    """The fields of a kind of node in which other nodes stand, remembered."""
    found = tuple(name for name in getattr(kind, "_fields", ()) if name not in _texts)
    _inside[kind] = found
    return found


def _words_by_line(text: bytes) -> dict[int, int]:
    counts: dict[int, int] = {}
    line, at = 1, 0
    for found in _counted.finditer(text):
        here = found.start()
        line += text.count(b"\n", at, here)
        at = here
        counts[line] = counts.get(line, 0) + 1
    return counts


def _kind(decorators: Sequence[str], around: str) -> str:
    if around == "function":
        return "nested"
    if around == "module":
        return "function"
    for decorator in decorators:
        last = decorator.partition("(")[0].rpartition(".")[2]
        if last in ("classmethod", "staticmethod"):
            return last
        if last in _properties or last in ("setter", "deleter", "getter"):
            return "property"
    return "method"


def _signature(parameters: Sequence[tuple[str, str, str, str]], returns: str) -> str:
    parts: list[str] = []
    star = slash = False
    for name, kind, annotation, default in parameters:
        if slash and kind != "positional-only":
            parts.append("/")
            slash = False
        if kind == "positional-only":
            slash = True
        elif kind == "var-positional":
            star = True
        elif kind == "keyword-only" and not star:
            parts.append("*")
            star = True
        mark = {"var-positional": "*", "var-keyword": "**"}.get(kind, "")
        part = f"{mark}{name}: {annotation}" if annotation else f"{mark}{name}"
        if default:
            part += f" = {default}" if annotation else f"={default}"
        parts.append(part)
    if slash:
        parts.append("/")
    inside = f"({', '.join(parts)})"
    return f"{inside} -> {returns}" if returns else inside


def _docstring(body: Sequence[ast.stmt]) -> str:
    first = body[0] if body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return first.value.value
    return ""
