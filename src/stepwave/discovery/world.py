"""The tree as a whole: which thing a name denotes, followed through imports, re-exports and star imports.

Files are parsed when something in them is asked for, and the trees of those that were asked for longest ago are
forgotten: `_KEPT_BYTES` of text bound the memory.
"""

import ast
from collections.abc import Callable, Sequence

from stepwave.discovery.modules import Missing, Modules
from stepwave.discovery.scopes import Binding, Scope, module_scope
from stepwave.discovery.source import parse
from stepwave.discovery.terms import Term, lower
from stepwave.discovery.tokens import export_terms
from stepwave.discovery.values import Entity
from stepwave.discovery.walk import Unread

_KEPT_BYTES = 3 << 20
_BUILTINS = frozenset(dir(__builtins__)) if not isinstance(__builtins__, dict) else frozenset(__builtins__)


class Module:
    """A parsed file of the tree."""

    def __init__(self, path: str, tree: ast.Module, data: bytes) -> None:
        self.path = path
        self.size = len(data)
        self.scope = module_scope(tree, data)
        self._all: tuple[str, ...] | bool | None = False

    @property
    def dunder_all(self) -> tuple[str, ...] | None:
        """The names of `__all__`, where they stand in the file as strings; None where they do not."""
        if isinstance(self._all, bool):
            self._all = names_of_all(self.scope.table.get("__all__", ()))
        return self._all

    def gives(self, name: str) -> bool:
        """Whether a star import brings a name along."""
        names = self.dunder_all
        return name in names if names is not None else not name.startswith("_")

    def locate(self, qualname: str) -> tuple[Scope, list[Binding]] | None:
        """The scope that binds the last part of a dotted name, and how it does."""
        scope = self.scope
        parts = qualname.split(".")
        for part in parts[:-1]:
            opened = [b.node for b in scope.table.get(part, ()) if b.kind in ("def", "class")]
            if not opened:
                return None
            classes = [node for node in opened if isinstance(node, ast.ClassDef)]
            scope = scope.inner((classes or opened)[-1])
        found = scope.table.get(parts[-1])
        return (scope, found) if found else None


class World:
    """The modules of a tree, read as they are asked for."""

    def __init__(self, modules: Modules, read: Callable[[str], bytes | Unread]) -> None:
        self.modules = modules
        self._read = read
        self.known: dict[str, dict[str, list[Term]]] = {}
        """What is known of a module's names without its tree: by path and name, the terms of `export_terms`."""
        self._loaded: dict[str, Module | None] = {}
        self._kept = 0
        self._exports: dict[tuple[str, str], tuple[Entity, ...]] = {}
        self._on_the_way: set[tuple[str, str]] = set()

    def module(self, path: str) -> Module | None:
        """A module of the tree; None when it cannot be read or parsed."""
        if path in self._loaded:
            module = self._loaded[path] = self._loaded.pop(path)  # the youngest again
            return module
        data = self._read(path)
        tree = parse(path, data) if isinstance(data, bytes) else data
        module = Module(path, tree, data) if isinstance(tree, ast.Module) and isinstance(data, bytes) else None
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
        terms = self.known.get(path, {}).get(name)
        if terms is None:
            module = self.module(path)
            terms = export_terms(module.scope, name) if module is not None else []
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
            given = None if source.endswith("/") else self.module(source)
            if given is not None and given.gives(name) and (found := self.exports(source, name)):
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

    def stands_for(self, entity: Entity) -> Term | None:
        """The term of what `b = a` makes another name of, where that is all that happens to the name."""
        if not entity.path or not entity.qualname or entity.path.endswith("/"):
            return None
        module = self.module(entity.path)
        located = module.locate(entity.qualname) if module else None
        if located is None:
            return None
        scope, bound = located
        plain = len(bound) == 1 and bound[0].kind == "assign" and not bound[0].steps
        if not plain or scope.kind not in ("module", "class"):
            return None
        value = bound[0].value
        return lower(value, scope) if isinstance(value, ast.Name | ast.Attribute) else None

    def is_code(self, entity: Entity) -> bool:
        """Whether something of the tree is a function or class."""
        module = self.module(entity.path) if entity.path and entity.qualname else None
        located = module.locate(entity.qualname) if module else None
        return located is not None and any(b.kind in ("def", "class") for b in located[1])


def names_of_all(bound: Sequence[Binding]) -> tuple[str, ...] | None:
    """What is bound to `__all__`, where it stands in the file as strings; None where it does not."""
    found = [_strings(b.value) for b in bound if b.kind in ("assign", "augmented")]
    if not found or len(found) != len(bound) or None in found:
        return None
    return tuple(name for names in found if names for name in names)


def _strings(node: ast.AST | None) -> list[str] | None:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _strings(node.left), _strings(node.right)
        return left + right if left is not None and right is not None else None
    if not isinstance(node, ast.List | ast.Tuple):
        return None
    names = [item.value for item in node.elts if isinstance(item, ast.Constant)]
    texts = [name for name in names if isinstance(name, str)]
    return texts if len(texts) == len(node.elts) else None
