"""Classes: in which order their members are looked for, and which attributes their methods make."""

import ast
from collections.abc import Callable, Iterator

from stepwave.discovery.scopes import Scope, statements_of, targets_of
from stepwave.discovery.terms import UNKNOWN, Term, lower, lower_type, method_kind
from stepwave.discovery.values import Entity, Value, Values
from stepwave.discovery.world import World

Line = tuple[Entity | None, ...]
"""The classes in which a member is looked for, in order; None where a base is not known."""


class Classes:
    """What is known of the classes of a tree, remembered. `values` works out what an expression may be."""

    def __init__(self, world: World, values: Callable[[str, Term], Values]) -> None:
        self.world = world
        self.values = values
        self._lines: dict[Entity, Line] = {}
        self._attributes: dict[Entity, dict[str, list[Term]]] = {}
        self._busy: set[Entity] = set()

    def members(self, value: Value, name: str) -> list[Entity]:  # noqa: PLR0911 - one case for each kind
        """What an attribute of a value denotes."""
        if value.kind == "module":
            return list(self.world.exports(value.path, name))
        if value.kind == "function":
            return [Entity("", f"builtins.function.{name}")]
        if value.kind in ("outside", "instance", "class") and not value.path:
            return [Entity("", f"{value.name}.{name}")]
        if value.kind not in ("class", "instance", "super"):
            return []
        line = self.line(Entity(value.path, value.name))
        for owner in line[1:] if value.kind == "super" else line:
            if owner is None:
                return []
            if not owner.path:
                return [Entity("", f"{owner.qualname}.{name}")] if owner.qualname != "builtins.object" else []
            if self._has(owner, name):
                return [Entity(owner.path, f"{owner.qualname}.{name}")]
        return []

    def _has(self, owner: Entity, name: str) -> bool:
        scope = self.scope_of(owner)
        return scope is not None and (name in scope.table or name in self.attributes(owner))

    def scope_of(self, owner: Entity) -> Scope | None:
        module = self.world.module(owner.path)
        located = module.locate(owner.qualname) if module else None
        if located is None:
            return None
        nodes = [b.node for b in located[1] if isinstance(b.node, ast.ClassDef)]
        return located[0].inner(nodes[-1]) if nodes else None

    def line(self, owner: Entity) -> Line:
        """The method resolution order (C3, https://www.python.org/download/releases/2.3/mro/); bases that are not
        known leave a None behind, and bases that contradict each other are taken in the order they stand."""
        if owner in self._lines:
            return self._lines[owner]
        if owner in self._busy:
            return (owner,)
        self._busy.add(owner)
        bases = self._bases(owner)
        lines = [self.line(base) if base is not None and base.path else (base,) for base in bases]
        self._busy.discard(owner)
        merged = self._lines[owner] = (owner, *_merged([*lines, tuple(bases)]))
        return merged

    def _bases(self, owner: Entity) -> list[Entity | None]:
        scope = self.scope_of(owner)
        if scope is None or scope.parent is None or not isinstance(scope.node, ast.ClassDef):
            return [None]
        found: list[Entity | None] = []
        for base in scope.node.bases:
            values = [v for v in self.values(owner.path, lower(base, scope.parent)) if v.kind in ("class", "outside")]
            found += [Entity(v.path, v.name) for v in values[:2]] or [None]
        return [base for base in dict.fromkeys(found) if base != owner]

    def attributes(self, owner: Entity) -> dict[str, list[Term]]:
        """What the methods of a class assign to attributes of their first parameter."""
        if owner in self._attributes:
            return self._attributes[owner]
        found: dict[str, list[Term]] = {}
        self._attributes[owner] = found
        scope = self.scope_of(owner)
        for bound in list(scope.table.values()) if scope else ():
            for binding in bound:
                function = binding.node
                if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and scope is not None:
                    for name, term in _assigned(function, scope.inner(function)):
                        found.setdefault(name, []).append(term)
        return found


def _merged(lines: list[Line]) -> Line:
    found: list[Entity | None] = []
    rest = [list(line) for line in lines if line]
    while rest:
        tails = {each for line in rest for each in line[1:]}
        head = next((line[0] for line in rest if line[0] not in tails), rest[0][0])
        found.append(head)
        rest = [kept for line in rest if (kept := [each for each in line if each != head])]
    return tuple(found)


def _assigned(function: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> Iterator[tuple[str, Term]]:
    """Attributes that a method assigns to its first parameter; ("declared", t) where a type is declared."""
    first = [*function.args.posonlyargs, *function.args.args][:1]
    if not first or method_kind(function) == "static":
        return
    name = first[0].arg
    for node in statements_of(function.body):
        if isinstance(node, ast.AnnAssign) and _is_attribute(node.target, name):
            yield node.target.attr, ("declared", ("inst", lower_type(node.annotation, scope)))  # type: ignore[union-attr]
        for target, value, steps in targets_of(node):
            if _is_attribute(target, name):
                term = lower(value, scope) if value is not None else UNKNOWN
                for step in steps:
                    term = ("[]", term, step) if step >= 0 else UNKNOWN
                kind = type(node).__name__
                wrapped = ("it", term) if "For" in kind else ("with", term) if "With" in kind else term
                yield target.attr, wrapped  # type: ignore[attr-defined]


def _is_attribute(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name
