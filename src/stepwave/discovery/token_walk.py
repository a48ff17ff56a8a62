"""How a tree is walked for words: which parts are looked at, and how a finding is noted.

Rule 1  Only the parts of the tree whose lines hold a word are looked at. That loses nothing: whatever binds a name, or
        uses it, has it in its text. (A star import has not; that is for whoever works out the terms.)
"""

import ast
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

from stepwave.discovery.occurrences import Occurrences, Place
from stepwave.discovery.scopes import Scope
from stepwave.discovery.terms import Term, import_term, union


class Token(NamedTuple):
    """An occurrence. `term` is of what it denotes, or ("entity", qualname) for what this file itself binds."""

    line: int
    offset: int
    kind: str
    word: str
    term: Term


class Bound(NamedTuple):
    """Something of this file that goes by one of the words: function, method, class, variable, attribute, local …"""

    qualname: str
    what: str
    line: int


class Tokens(NamedTuple):
    """All that a file says of the words. `renames`: the other names that it gives to what goes by them."""

    found: list[Token]
    bound: list[Bound]
    renames: list[str]
    loose: list[tuple[int, int, str, str]]
    """Occurrences in strings and comments: line, offset, `string` or `comment`, word."""
    exports: dict[str, list[Term]]
    """What the module binds the names to that the terms speak of: an import, a ("star", …), or itself."""


class Walk:
    """One walk over a tree. `kind` on the way down is what a name would be that stands there to be read."""

    handlers: ClassVar[dict[type, Callable[[Any, Any, Scope, str], None]]] = {}
    """What is done with a kind of node; the others are only gone through."""

    def __init__(self, at: Occurrences, words: Sequence[str], module: Scope) -> None:
        self.at = at
        self.words = frozenset(words)
        self.module = module
        self.found: list[Token] = []
        self.bound: list[Bound] = []
        self.renames: list[str] = []
        self.strings: list[tuple[Place, Place]] = []
        self.defined: set[str] = set()
        self.prune = True
        self.narrowed: list[tuple[str, Term]] = []

    # --- walking ---------------------------------------------------------------------------------------------

    def visit_all(self, nodes: Sequence[ast.AST], scope: Scope, kind: str = "read") -> None:
        for node in nodes:
            self.visit(node, scope, kind)

    def visit(self, node: ast.AST | None, scope: Scope, kind: str = "read") -> None:
        if node is None or (self.prune and not self._touched(node)):
            return
        handler = self.handlers.get(type(node))
        if handler is not None:
            handler(self, node, scope, kind)
        else:
            self.children(node, scope, kind)

    def _touched(self, node: ast.AST) -> bool:
        first = getattr(node, "lineno", None)
        if first is None:
            return True
        decorators = getattr(node, "decorator_list", None)
        if decorators:
            first = min(first, decorators[0].lineno)
        return self.at.touched(first, node.end_lineno)  # type: ignore[attr-defined]

    def children(self, node: ast.AST, scope: Scope, kind: str) -> None:
        inner = kind if kind in ("annotation", "decorator") else "read"
        for field in node._fields:
            value = getattr(node, field, None)
            if isinstance(value, ast.AST):
                self.visit(value, scope, inner)
            elif isinstance(value, list):
                for item in value:
                    if isinstance(item, ast.AST):
                        self.visit(item, scope, inner)

    def in_string(self, place: Place) -> bool:
        return any(start <= place < end for start, end in self.strings)

    # --- noting ----------------------------------------------------------------------------------------------

    def note(self, place: Place | None, kind: str, word: str, term: Term) -> None:
        if place is not None:
            self.found.append(Token(*place, kind, word, term))

    def bind(self, place: Place | None, word: str, scope: Scope, what: str, kind: str = "") -> None:
        """A place that binds a word in a scope: the first one is its definition."""
        qualname = f"{scope.qualname}.{word}" if scope.qualname else word
        first = qualname not in self.defined
        self.defined.add(qualname)
        self.note(place, kind or ("definition" if first else "write"), word, ("entity", qualname))
        if place is not None:
            self.bound.append(Bound(qualname, what, place[0]))

    def denoted(self, name: str, scope: Scope, at: Place) -> Term:
        """What a name denotes: itself where this file binds it, what was imported where it is an import."""
        owner = scope.owner(name, at)
        if owner is None or owner.kind == "module":
            return ("g", name)
        imports = [b for b in owner.table[name] if b.kind == "import"]
        found = [import_term(b.node, b.statement) for b in imports]
        if len(imports) < len(owner.table[name]):
            found.append(("entity", f"{owner.qualname}.{name}"))
        return union(found)
