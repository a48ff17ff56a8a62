"""The tree as a whole: which thing a name denotes, followed through imports, re-exports and star imports.

Files are parsed when something in them is asked for, and the trees of those that were asked for longest ago are
forgotten: `_KEPT_BYTES` of text bound the memory.
"""

import ast
from collections.abc import Callable, Sequence
from typing import Any

from stepwave.discovery.modules import Missing, Modules
from stepwave.discovery.outline import Module, Named, Outline, Question
from stepwave.discovery.source import parse
from stepwave.discovery.terms import Term
from stepwave.discovery.values import Entity
from stepwave.discovery.walk import Unread

_KEPT_BYTES = 3 << 20
_BUILTINS = frozenset(dir(__builtins__)) if not isinstance(__builtins__, dict) else frozenset(__builtins__)


class World:
    """The modules of a tree, read as they are asked for."""

    def __init__(
        self,
        modules: Modules,
        read: Callable[[str], bytes | Unread],
        recall: Callable[[str], dict[Question, Any]] = lambda path: {},
    ) -> None:
        """`recall` gives what is known of a file from earlier questions."""
        self.modules = modules
        self._read = read
        self._recall = recall
        self.known: dict[str, dict[str, list[Term]]] = {}
        """What is known of a module's names without its tree: by path and name, the terms of `export_terms`."""
        self.outlines: dict[str, Outline] = {}
        self.unreadable: set[str] = set()
        self._loaded: dict[str, Module | None] = {}
        self._kept = 0
        self._exports: dict[tuple[str, str], tuple[Entity, ...]] = {}
        self._on_the_way: set[tuple[str, str]] = set()

    def outline(self, path: str) -> Outline:
        """What a file of the tree says; of one that cannot be read or parsed, nothing."""
        if (known := self.outlines.get(path)) is None:
            known = self.outlines[path] = Outline(self._recall(path), lambda: self._module(path))
        return known

    def _module(self, path: str) -> Module | None:
        if path in self._loaded:
            module = self._loaded[path] = self._loaded.pop(path)  # the youngest again
            return module
        data = self._read(path)
        if isinstance(data, Unread):
            self.unreadable.add(path)
            return None
        tree = parse(path, data)
        module = Module(tree, data) if isinstance(tree, ast.Module) else None
        self._loaded[path] = module
        self._kept += module.size if module else 0
        while self._kept > _KEPT_BYTES and len(self._loaded) > 1:
            oldest = self._loaded.pop(next(iter(self._loaded)))
            self._kept -= oldest.size if oldest else 0
        return module

    # --- what a name denotes ---------------------------------------------------------------------------------

    def global_name(self, path: str, name: str) -> tuple[Entity, ...]:
        """What a name means that no function around it binds: the module's own, else a builtin."""
        found = self.exports(path, name)
        if not found and name in _BUILTINS:
            return (Entity("", f"builtins.{name}"),)
        return found

    def exports(self, path: str, name: str) -> tuple[Entity, ...]:
        """What `module.name` denotes, at its origin. Empty when the module has no such name, or nobody can tell."""
        key = (path, name)
        if key in self._exports:
            return self._exports[key]
        if key in self._on_the_way:
            return ()
        self._on_the_way.add(key)
        try:
            found = tuple(dict.fromkeys(self._look(path, name)))
        finally:
            self._on_the_way.discard(key)
        if found or not self._on_the_way:  # an empty answer on the way round a circle is not the last word
            self._exports[key] = found
        return found

    def _look(self, path: str, name: str) -> list[Entity]:
        if path.endswith("/"):
            return self.submodule(path, name)
        terms: Sequence[Term] | None = self.known.get(path, {}).get(name)
        if terms is None:
            terms = self.outline(path).exports(name)
        found: list[Entity] = []
        stars: list[Term] = []
        for term in terms:
            if term[0] == "i":
                found += self.imported(path, term)
            elif term[0] == "star":
                stars.append(term)
            else:
                found.append(Entity(path, name))
        return found or self._from_stars(path, stars, name) or self.submodule(path, name)

    def _from_stars(self, path: str, stars: list[Term], name: str) -> list[Entity]:
        outside: list[Entity] = []
        for _, dotted, level in reversed(stars):
            source = self.modules.find_from(path, dotted, level)
            if isinstance(source, Missing):
                outside.append(Entity("", f"{source.name}.{name}"))
                continue
            given = not source.endswith("/") and self.outline(source).gives(name)
            if given and (found := self.exports(source, name)):
                return list(found)
        return outside if name not in _BUILTINS else []

    def submodule(self, path: str, name: str) -> list[Entity]:
        found = self.modules.submodule(path, name)
        return [Entity(found, "")] if found else []

    def imported(self, path: str, term: Term) -> tuple[Entity, ...]:
        """What an import of a file brings in: an ("i", module, level, name)."""
        _, dotted, level, name = term
        source = self.modules.find_from(path, dotted or None, level)
        if isinstance(source, Missing):
            return (Entity("", f"{source.name}.{name}" if name else source.name),)
        if name is None:
            return (Entity(source, ""),)
        if source == path and (path, name) in self._on_the_way:  # `from . import x` in the package itself
            return tuple(self.submodule(source, name))
        return self.exports(source, name) or tuple(self.submodule(source, name))

    def named(self, entity: Entity) -> Named | None:
        """What a thing of the tree is bound to."""
        inside = entity.path and entity.qualname and not entity.path.endswith("/")
        return self.outline(entity.path).named(entity.qualname) if inside else None
