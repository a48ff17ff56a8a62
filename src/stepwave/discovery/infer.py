"""What expressions are, as far as it can be told without running them: enough to know whose method is called.

Declared types go before assigned values; what several branches assign is all of it; what nobody says is nothing, and
then `obj.method` is a possible use and no certain one.
"""

import ast
from collections.abc import Iterator

from stepwave.discovery.classes import Classes
from stepwave.discovery.scopes import Scope, statements_of
from stepwave.discovery.terms import (
    Term,
    decorator_names,
    lower,
    lower_binding,
    lower_type,
)
from stepwave.discovery.values import (
    BUILTIN_CLASSES,
    ELEMENTS,
    MANAGERS,
    NONE,
    ONE_OF,
    PROPERTIES,
    SAME,
    Entity,
    Value,
    Values,
    builtin,
    container,
    unique,
)
from stepwave.discovery.world import Module, World

_DEEP = 40
_STEPS = 20_000


class Inference:
    """Values of terms, worked out on demand and remembered."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._values: dict[tuple[str, Term], Values] = {}
        self._returns: dict[Entity, tuple[Values, Values]] = {}
        self.classes = Classes(world, self.values)
        self.members = self.classes.members
        self._busy: set[object] = set()
        self._cuts = 0
        self._steps = 0

    # --- what a term denotes -----------------------------------------------------------------------------------

    def denoted(self, path: str, term: Term) -> tuple[Entity, ...]:  # noqa: PLR0911 - one case for each term
        """The things that a name or attribute denotes; empty when nobody knows."""
        if not self._busy:
            self._steps = 0
        match term:
            case ("g", name):
                return self.world.global_name(path, name)
            case ("i", *_):
                return self.world.imported(path, term)
            case ("entity" | "def" | "class", qualname):
                return (Entity(path, qualname),)
            case (".", receiver, name):
                found = [e for value in self.values(path, receiver) for e in self.members(value, name)]
                return tuple(dict.fromkeys(found))
            case ("kw", callee, name):
                return self._keyword(path, callee, name)
            case ("|", terms):
                return tuple(dict.fromkeys(e for each in terms for e in self.denoted(path, each)))
        return ()

    def _keyword(self, path: str, callee: Term, name: str) -> tuple[Entity, ...]:
        """The parameter that `f(name=…)` means; of a class, that of its `__init__`, or the field of that name."""
        found: list[Entity] = []
        for value in self.values(path, callee):
            if value.kind == "function":
                found.append(Entity(value.path, f"{value.name}.{name}"))
            elif value.kind == "class":
                made = [e for e in self.members(value, "__init__") if e.path]
                found += [Entity(e.path, f"{e.qualname}.{name}") for e in made] or self.members(value, name)
            else:
                found.append(Entity("", f"{value.name}.{name}"))
        return tuple(found)

    # --- what a term is ----------------------------------------------------------------------------------------

    def values(self, path: str, term: Term) -> Values:
        """The values that an expression may have; empty when nobody knows."""
        key = (path, term)
        if key in self._values:
            return self._values[key]
        self._steps += 1
        if key in self._busy or len(self._busy) > _DEEP * 4 or self._steps > _STEPS:
            self._cuts += 1
            return ()
        cuts = self._cuts
        self._busy.add(key)
        try:
            found = unique(list(self._work_out(path, term)))
        finally:
            self._busy.discard(key)
        if cuts == self._cuts or not self._busy:
            self._values[key] = found
        return found

    def _work_out(self, path: str, term: Term) -> Iterator[Value]:  # noqa: C901, PLR0912 - one case for each term
        match term:
            case ("g" | "i" | "kw", *_):
                for entity in self.denoted(path, term):
                    yield from self.value_of(entity)
            case ("def", qualname):
                yield Value("function", path, qualname)
            case ("class", qualname):
                yield Value("class", path, qualname)
            case (".", receiver, name):
                for value in self.values(path, receiver):
                    yield from self._attribute(value, name)
            case ("()", callee, first):
                for value in self.values(path, callee):
                    yield from self._called(value, self.values(path, first) if first else ())
            case ("[]", whole, index):
                for value in self.values(path, whole):
                    yield from self._item(value, index)
            case ("it", whole):
                for value in self.values(path, whole):
                    yield from self._iterated(value)
            case ("with", manager):
                for value in self.values(path, manager):
                    yield from self._entered(value)
            case ("aw", inner):
                yield from self.values(path, inner)
            case ("inst", type_term):
                yield from self._instances(path, type_term)
            case ("sub", base, arguments):
                yield from self._parametrized(path, base, arguments)
            case ("|", terms):
                for each in terms:
                    yield from self.values(path, each)
            case ("seq", kind, terms):
                yield self._literal(path, kind, terms)
            case ("super", inner):
                for value in self.values(path, inner):
                    if value.kind in ("class", "instance") and value.path:
                        yield value._replace(kind="super")
            case ("type", inner):
                for value in self.values(path, inner):
                    if value.kind == "instance":
                        yield value._replace(kind="class" if value.path else "outside")
            case ("lit", name):
                yield builtin(name)
            case ("inherited", owner, method, parameter):
                yield from self._inherited(Entity(path, owner), method, parameter)
            case ("bound", type_term):  # a type variable, and what it is bound to
                yield from self.values(path, type_term)
            case ("none",):
                yield NONE

    def value_of(self, entity: Entity) -> Values:
        """What a thing is that has a name."""
        if not entity.path:
            return (Value("outside", "", entity.qualname),)
        if not entity.qualname:
            return (Value("module", entity.path, ""),)
        key = ("value", entity)
        if key in self._busy:
            self._cuts += 1
            return ()
        self._busy.add(key)
        try:
            return unique(list(self._bound_values(entity)))
        finally:
            self._busy.discard(key)

    def _bound_values(self, entity: Entity) -> Iterator[Value]:
        module = self.world.module(entity.path)
        located = module.locate(entity.qualname) if module else None
        if located is not None:
            scope, bound = located
            declared = [b for b in bound if b.kind == "annotated"]
            for binding in declared or bound:
                yield from self.values(entity.path, lower_binding(binding, scope))
            if declared:
                return
        owner, _, name = entity.qualname.rpartition(".")
        if owner and module is not None and self.classes.scope_of(Entity(entity.path, owner)) is not None:
            terms = self.classes.attributes(Entity(entity.path, owner)).get(name, ())
            declared_terms = [term for term in terms if term[0] == "declared"]
            for term in declared_terms or terms:
                yield from self.values(entity.path, term[1] if term[0] == "declared" else term)

    def _attribute(self, value: Value, name: str) -> Iterator[Value]:
        if value.kind == "instance" and not value.path and value.args:
            yield from _of_container(value, name)
            return
        members = self.members(value, name)
        if not members and value.kind == "instance" and value.path:
            for entity in self.members(value, "__getattr__"):
                yield from self._result(entity, value) if entity.path else ()
        for entity in members:
            if value.kind in ("instance", "super") and (function := self._property(entity)) is not None:
                yield from self._result(function, value)
                continue
            for found in self.value_of(entity):
                bound = found.kind == "function" and value.kind in ("instance", "class", "super") and value.path
                yield found._replace(args=((_receiver(value),),)) if bound else found

    def _property(self, entity: Entity) -> Entity | None:
        node = self._function(entity)
        names = decorator_names(node[1]) if node is not None else ()
        return entity if any(name in PROPERTIES or "property" in name for name in names) else None

    def _function(self, entity: Entity) -> tuple[Scope, ast.FunctionDef | ast.AsyncFunctionDef] | None:
        module: Module | None = self.world.module(entity.path) if entity.path else None
        located = module.locate(entity.qualname) if module and entity.qualname else None
        if located is None:
            return None
        nodes = [b.node for b in located[1] if isinstance(b.node, ast.FunctionDef | ast.AsyncFunctionDef)]
        return (located[0], nodes[0]) if nodes else None

    def _inherited(self, owner: Entity, method: str, parameter: str) -> Iterator[Value]:
        """The declared type of a parameter in the nearest base class that has the method and says it."""
        for base in self.classes.line(owner)[1:]:
            found = self._function(Entity(base.path, f"{base.qualname}.{method}")) if base and base.path else None
            for arg in _named_parameters(found[1]) if found and base else ():
                if arg.arg == parameter and arg.annotation is not None and found and base:
                    yield from self.values(base.path, ("inst", lower_type(arg.annotation, found[0])))
                    return

    # --- calls -------------------------------------------------------------------------------------------------

    def _called(self, value: Value, first: Values) -> Iterator[Value]:
        if value.kind == "class":
            yield value._replace(kind="instance")
        elif value.kind == "function":
            receiver = value.args[0][0] if value.args and value.args[0] else None
            yield from self._result(Entity(value.path, value.name), receiver)
        elif value.kind == "instance" and value.path:
            for found in self._attribute(value, "__call__"):
                if found.kind == "function":
                    yield from self._called(found, ())
        elif value.kind == "outside":
            yield from self._called_outside(value, first)

    def _called_outside(self, value: Value, first: Values) -> Iterator[Value]:
        name = value.name.removeprefix("builtins.")
        if value.name in SAME:
            yield from first
        elif name in ONE_OF and value.name.startswith("builtins."):
            for each in first:
                yield from self._iterated(each)
        elif name in ELEMENTS and value.name.startswith("builtins.") and first:
            inside = unique([v for each in first for v in self._iterated(each)])
            yield builtin(container(name) or "list", inside)
        elif name == "enumerate" and first:
            inside = unique([v for each in first for v in self._iterated(each)])
            yield builtin("list", (builtin("tuple", (builtin("int"),), inside),))
        elif name in BUILTIN_CLASSES or name.rpartition(".")[2][:1].isupper():
            yield value._replace(kind="instance")

    def _result(self, function: Entity, receiver: Value | None) -> Values:
        """What a function gives back; `self` of a method is who the method is called on."""
        if function not in self._returns:
            if ("returns", function) in self._busy:
                self._cuts += 1
                return ()
            self._busy.add(("returns", function))
            cuts = self._cuts
            try:
                result = self._work_out_result(function)
            finally:
                self._busy.discard(("returns", function))
            if cuts == self._cuts or not self._busy:
                self._returns[function] = result
        else:
            result = self._returns[function]
        plain, own = result
        return unique([*plain, *([receiver] if own and receiver is not None else own)])

    def _work_out_result(self, function: Entity) -> tuple[Values, Values]:
        """Two parts: what is given back whoever calls, and the method's own instance where it gives that back."""
        found = self._function(function)
        if found is None:
            return (), ()
        scope, node = found
        inner = scope.inner(node)
        names = set(decorator_names(node))
        declared = self._declared(function.path, node, scope, inner)
        if declared is not None:
            values, own = declared
        else:
            values, own = self._returned(function.path, node, inner)
        if names & MANAGERS:
            inside = unique([v for value in values for v in self._iterated(value)])
            values = (Value("instance", "", "contextlib.AbstractContextManager", (inside,)),)
        return values, own

    def _declared(
        self, path: str, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope, inner: Scope
    ) -> tuple[Values, Values] | None:
        if node.returns is None:
            return None
        written = ast.unparse(node.returns).strip("'\"")
        first = [*node.args.posonlyargs, *node.args.args][:1]
        own_type = ast.unparse(first[0].annotation).strip("'\"") if first and first[0].annotation else None
        if scope.kind == "class" and (written.rpartition(".")[2] == "Self" or written == own_type):
            return (), self.values(path, ("inst", ("class", scope.qualname)))
        values = self.values(path, ("inst", lower_type(node.returns, scope)))
        return (values, ()) if values else None

    def _returned(self, path: str, node: ast.FunctionDef | ast.AsyncFunctionDef, inner: Scope) -> tuple[Values, Values]:
        plain: list[Value] = []
        own: list[Value] = []
        yielded: list[Value] = []
        generates = False
        mine = inner.parent.qualname if inner.parent is not None and inner.parent.kind == "class" else None
        for each in statements_of(node.body):
            if isinstance(each, ast.Return) and each.value is not None:
                values = self.values(path, lower(each.value, inner))
                # `return self`, or a copy of it: of a subclass it will be one of the subclass
                own += [
                    value for value in values if value.kind == "instance" and (value.path, value.name) == (path, mine)
                ]
                plain += [value for value in values if (value.path, value.name) != (path, mine)]
            elif isinstance(each, ast.Yield):
                generates = True
                yielded += self.values(path, lower(each.value, inner)) if each.value is not None else ()
            elif isinstance(each, ast.YieldFrom):
                generates = True
                yielded += self.values(path, ("it", lower(each.value, inner)))
        if generates:
            return (builtin("generator", unique(yielded)),), ()
        return unique(plain), unique(own)

    # --- containers --------------------------------------------------------------------------------------------

    def _literal(self, path: str, kind: str, terms: tuple[Term, ...]) -> Value:
        parts = [self.values(path, term) for term in terms]
        if kind in ("tuple", "dict"):
            return builtin(kind, *parts)
        return builtin(kind, unique([v for part in parts for v in part]))

    def _item(self, value: Value, index: int | None) -> Iterator[Value]:
        kind = container(value.name) if not value.path else ""
        if value.kind == "instance" and value.path:
            for found in self._attribute(value, "__getitem__"):
                if found.kind == "function":
                    yield from self._called(found, ())
        elif value.kind in ("class", "outside"):
            yield value  # `Base[T]` where it is no annotation
        elif kind == "tuple" and index is not None and -len(value.args) <= index < len(value.args):
            yield from value.args[index]
        elif kind == "dict":
            yield from value.args[1] if len(value.args) > 1 else ()
        elif kind and value.args:
            yield from value.args[0]

    def _iterated(self, value: Value) -> Iterator[Value]:
        if value.kind == "instance" and value.path:
            for method in ("__iter__", "__aiter__"):
                for found in self._attribute(value, method):
                    for iterator in self._called(found, ()) if found.kind == "function" else ():
                        yield from self._next(iterator)
        elif value.kind == "class" and value.path:
            yield value._replace(kind="instance")  # the members of an enum
        elif value.kind == "instance" and container(value.name) == "tuple":
            for each in value.args:
                yield from each
        elif value.kind == "instance" and value.args:
            yield from value.args[0]

    def _next(self, iterator: Value) -> Iterator[Value]:
        if not iterator.path:
            yield from self._iterated(iterator)
            return
        for method in ("__next__", "__anext__"):
            for found in self._attribute(iterator, method):
                if found.kind == "function":
                    yield from self._called(found, ())

    def _entered(self, value: Value) -> Iterator[Value]:
        if value.kind == "instance" and value.path:
            for method in ("__enter__", "__aenter__"):
                for found in self._attribute(value, method):
                    if found.kind == "function":
                        yield from self._called(found, ())
        elif value.name.endswith("ContextManager"):
            yield from value.args[0] if value.args else ()
        elif value.kind == "instance":
            yield value

    # --- types -------------------------------------------------------------------------------------------------

    def _instances(self, path: str, term: Term) -> Iterator[Value]:
        """Instances of what an annotation says."""
        for value in self.values(path, term):
            short = value.name.rpartition(".")[2]
            if value.kind == "class":
                yield value._replace(kind="instance")
            elif value.kind == "outside":
                if short in ("Type", "type") and value.args:
                    yield from (v._replace(kind="class") for v in value.args[0] if v.kind == "instance")
                elif short in ("Optional", "Union", "Annotated", "Final", "ClassVar", "Required", "NotRequired"):
                    parts = value.args[:1] if short == "Annotated" else value.args
                    yield from (v for part in parts for v in part)
                elif short not in ("Any", "TypeVar"):
                    yield _named(value)
            elif value.kind == "none" or (value.kind == "instance" and value.args and not value.path):
                yield value

    def _parametrized(self, path: str, base: Term, arguments: tuple[Term, ...]) -> Iterator[Value]:
        parts = tuple(self.values(path, ("inst", each)) for each in arguments)
        for value in self.values(path, base):
            if value.kind in ("class", "outside"):
                yield value._replace(args=parts)


def _named_parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.arg]:
    return [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]


def _named(value: Value) -> Value:
    kind = container(value.name)
    return builtin(kind, *value.args) if kind and value.args else value._replace(kind="instance")


def _receiver(value: Value) -> Value:
    return value._replace(kind="instance") if value.kind in ("super", "class") else value


def _of_container(value: Value, name: str) -> Iterator[Value]:
    """Methods of dict and list are given as values already called upon: `("()", …)` of them looks inside."""
    kind = container(value.name)
    if kind == "dict" and len(value.args) > 1:
        keys, values = value.args[0], value.args[1]
        held = {"values": values, "keys": keys, "items": (builtin("tuple", keys, values),)}.get(name)
        if held is not None:
            yield Value("class", "", "builtins.list", (held,))
        elif name in ("get", "pop", "setdefault"):
            yield from (v._replace(kind="class") for v in values if v.kind == "instance")
    elif kind in ("list", "set") and name == "pop" and value.args:
        yield from (v._replace(kind="class") for v in value.args[0] if v.kind == "instance")
    elif name == "copy":
        yield value._replace(kind="class")
