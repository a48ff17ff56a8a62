"""A parsed expression: its nodes, and the walk over them that tells what they read."""

from collections.abc import Iterator
from typing import NamedTuple

STATUSES = ("success", "failure", "always")
_environment = ("env", "envDefault", "hasEnv")


class Constant(NamedTuple):
    value: bool | int | float | str | None


class Text(NamedTuple):
    """Quoted text with substitutions in it."""

    parts: tuple["str | Node", ...]
    at: int


class Items(NamedTuple):
    items: tuple["Node", ...]


class Reference(NamedTuple):
    """`a.b[0]["c d"]`; an index that is not a constant stands in the path as an expression."""

    path: tuple["str | int | Node", ...]
    at: int


class Key(NamedTuple):
    key: "str | int | Node"


class Method(NamedTuple):
    name: str
    arguments: tuple["Node", ...]


class Chain(NamedTuple):
    """What follows something other than a plain path: `split(x, ',')[0].length`."""

    of: "Node"
    links: tuple[Key | Method, ...]
    at: int


class Call(NamedTuple):
    name: str
    arguments: tuple["Node", ...]
    at: int


class Not(NamedTuple):
    of: "Node"


class Logic(NamedTuple):
    """`word` is `and` or `or`; the value is that of the operand which decides."""

    word: str
    operands: tuple["Node", ...]


class Compare(NamedTuple):
    """`sign` is one of `== < <= > >= in`; `!=` and `not in` are a Not around it."""

    sign: str
    left: "Node"
    right: "Node"
    at: int


Node = Constant | Text | Items | Reference | Chain | Call | Not | Logic | Compare


class Expression(NamedTuple):
    """A parsed expression; bounded in depth, whatever its text was."""

    root: Node

    @property
    def references(self) -> frozenset[tuple[str, ...]]:
        return references(self)


def uses_status(expression: Expression) -> bool:
    """Whether `success()`, `failure()` or `always()` is asked anywhere in it."""
    waiting = [expression.root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Call) and node.name in STATUSES:
            return True
        waiting += children(node)
    return False


def references(expression: Expression, *, guarded: bool = True) -> frozenset[tuple[str, ...]]:
    """Every path that is read: ("variables", "x"), ("steps", "build", "output"), ("env", "CI"); indices as text.

    A path ends before an index that is itself computed. With `guarded=False` without those that may be missing:
    what `default`, `coalesce`, `envDefault`, `hasEnv` and `env(name, default)` provide for.
    """
    found: set[tuple[str, ...]] = set()
    waiting: list[Node] = [expression.root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Reference):
            fixed = [str(part) for part in node.path if isinstance(part, str | int)]
            dynamic = next((n for n, part in enumerate(node.path) if not isinstance(part, str | int)), None)
            found.add(tuple(fixed[:dynamic]))
        elif isinstance(node, Call) and node.name in _environment and isinstance(node.arguments[0], Constant):
            if guarded or (node.name == "env" and len(node.arguments) == 1):
                found.add(("env", str(node.arguments[0].value)))
        elif isinstance(node, Call) and not guarded and node.name in ("default", "coalesce"):
            waiting += node.arguments[1:] if node.name == "default" else ()
            continue
        waiting += children(node)
    return frozenset(found)


def children(node: Node) -> Iterator[Node]:
    """The expressions directly inside this one."""
    match node:
        case Text(parts) | Reference(parts):
            yield from (part for part in parts if not isinstance(part, str | int))
        case Items(nodes) | Call(_, nodes) | Logic(_, nodes):
            yield from nodes
        case Compare(_, left, right):
            yield from (left, right)
        case Not(of):
            yield of
        case Chain(of, links):
            yield of
            for link in links:
                if isinstance(link, Method):
                    yield from link.arguments
                elif not isinstance(link.key, str | int):
                    yield link.key
