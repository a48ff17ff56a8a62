"""Classes: in which order their members are looked for."""

from collections.abc import Callable

from stepwave.discovery.terms import Term
from stepwave.discovery.values import BARE, Entity, Value, Values
from stepwave.discovery.world import World

Line = tuple[Entity | None, ...]
"""The classes in which a member is looked for, in order; None where a base is not known."""


class Classes:
    """What is known of the classes of a tree, remembered. `values` works out what an expression may be."""

    def __init__(self, world: World, values: Callable[[str, Term], Values]) -> None:
        self.world = world
        self.values = values
        self._lines: dict[Entity, Line] = {}
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
                if owner.qualname in BARE:
                    continue
                return [Entity("", f"{owner.qualname}.{name}")]
            if self._has(owner, name):
                return [Entity(owner.path, f"{owner.qualname}.{name}")]
        return []

    def _has(self, owner: Entity, name: str) -> bool:
        outline = self.world.outline(owner.path)
        names = outline.names_in_class(owner.qualname)
        return names is not None and (name in names or name in outline.attributes(owner.qualname))

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
        terms = self.world.outline(owner.path).bases(owner.qualname)
        if terms is None:
            return [None]
        found: list[Entity | None] = []
        for term in terms:
            values = [v for v in self.values(owner.path, term) if v.kind in ("class", "outside")]
            found += [Entity(v.path, v.name) for v in values[:2]] or [None]
        return [base for base in dict.fromkeys(found) if base != owner]


def _merged(lines: list[Line]) -> Line:
    found: list[Entity | None] = []
    rest = [list(line) for line in lines if line]
    while rest:
        tails = {each for line in rest for each in line[1:]}
        head = next((line[0] for line in rest if line[0] not in tails), rest[0][0])
        found.append(head)
        rest = [kept for line in rest if (kept := [each for each in line if each != head])]
    return tuple(found)
