"""What expressions are, as far as it can be told without running them: enough to know whose method is called.

Declared types go before assigned values; what several branches assign is all of it; what nobody says is nothing, and
then `obj.method` is a possible use and no certain one.
"""

from collections.abc import Callable, Iterable, Iterator

from stepwave.discovery import protocols
from stepwave.discovery.classes import Classes
from stepwave.discovery.terms import Term
from stepwave.discovery.values import (
    BUILTIN_CLASSES,
    ELEMENTS,
    LIKE_SELF,
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
from stepwave.discovery.world import World

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
            rule = _rules.get(term[0])
            found = unique(list(rule(self, path, *term[1:]))) if rule is not None else ()
        finally:
            self._busy.discard(key)
        if cuts == self._cuts or not self._busy:
            self._values[key] = found
        return found

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
        path = entity.path
        outline = self.world.outline(path)
        named = outline.named(entity.qualname)
        if named is not None:
            for term in named.terms:
                yield from self.values(path, term)
            if named.declared:
                return
        owner, _, name = entity.qualname.rpartition(".")
        if owner and outline.names_in_class(owner) is not None:
            terms = outline.attributes(owner).get(name, ())
            declared = [term[1] for term in terms if term[0] == "declared"]
            for term in declared or terms:
                yield from self.values(path, term)

    def attribute(self, value: Value, name: str) -> Iterator[Value]:
        """What `value.name` is."""
        if value.kind == "instance" and not value.path and value.args:
            yield from protocols.of_container(value, name)
            return
        members = self.members(value, name)
        if not members and value.kind == "instance" and value.path:
            for entity in self.members(value, "__getattr__"):
                yield from self._result(entity, value) if entity.path else ()
        for entity in members:
            if value.kind in ("instance", "super") and self._is_property(entity):
                yield from self._result(entity, value)
                continue
            if not entity.path and name in LIKE_SELF and value.path:
                yield value._replace(kind="class")
                continue
            for found in self.value_of(entity):
                bound = found.kind == "function" and value.kind in ("instance", "class", "super") and value.path
                yield found._replace(args=((_receiver(value),),)) if bound else found

    def _is_property(self, entity: Entity) -> bool:
        names = self.world.outline(entity.path).decorators(entity.qualname) if entity.path else None
        return any(name in PROPERTIES or "property" in name for name in names or ())

    def inherited(self, owner: Entity, method: str, parameter: str) -> Iterator[Value]:
        """The declared type of a parameter in the nearest base class that has the method and says it."""
        for base in self.classes.line(owner)[1:]:
            if base is None or not base.path:
                continue
            term = self.world.outline(base.path).parameter(f"{base.qualname}.{method}", parameter)
            if term is not None:
                yield from self.values(base.path, term)
                return

    # --- calls -------------------------------------------------------------------------------------------------

    def called(self, value: Value, first: Values) -> Iterator[Value]:
        """What calling a value gives; `first` is what its first argument may be."""
        if value.kind == "class":
            yield value._replace(kind="instance")
        elif value.kind == "function":
            receiver = value.args[0][0] if value.args and value.args[0] else None
            yield from self._result(Entity(value.path, value.name), receiver)
        elif value.kind == "instance" and value.path:
            for found in self.attribute(value, "__call__"):
                if found.kind == "function":
                    yield from self.called(found, ())
        elif value.kind == "outside":
            yield from self._called_outside(value, first)

    def _called_outside(self, value: Value, first: Values) -> Iterator[Value]:
        name = value.name.removeprefix("builtins.")
        if value.name in SAME:
            yield from first
        elif name in ONE_OF and value.name.startswith("builtins."):
            for each in first:
                yield from protocols.iterated(self, each)
        elif name in ELEMENTS and value.name.startswith("builtins.") and first:
            inside = unique([v for each in first for v in protocols.iterated(self, each)])
            yield builtin(container(name) or "list", inside)
        elif name == "enumerate" and first:
            inside = unique([v for each in first for v in protocols.iterated(self, each)])
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
        outline = self.world.outline(function.path)
        names = outline.decorators(function.qualname) if function.path and function.qualname else None
        if names is None:
            return (), ()
        values, own = self._declared(function) or self._returned(function)
        if MANAGERS.intersection(names):
            inside = unique([v for value in values for v in protocols.iterated(self, value)])
            values = (Value("instance", "", "contextlib.AbstractContextManager", (inside,)),)
        return values, own

    def _declared(self, function: Entity) -> tuple[Values, Values] | None:
        path = function.path
        term = self.world.outline(path).result(function.qualname)
        if term is None:
            return None
        if term[0] == "own":
            return (), self.values(path, ("inst", ("class", term[1])))
        values = self.values(path, term)
        return (values, ()) if values else None

    def _returned(self, function: Entity) -> tuple[Values, Values]:
        path = function.path
        body = self.world.outline(path).returned(function.qualname)
        if body.generates:
            return (builtin("generator", unique([v for term in body.yields for v in self.values(path, term)])),), ()
        values = [value for term in body.returns for value in self.values(path, term)]
        # `return self`, or a copy of it: of a subclass it will be one of the subclass
        owner = function.qualname.rpartition(".")[0]
        mine = (path, owner if self.world.outline(path).names_in_class(owner) is not None else None)
        own = [value for value in values if value.kind == "instance" and (value.path, value.name) == mine]
        return unique([value for value in values if (value.path, value.name) != mine]), unique(own)


# --- what a term of each kind may be: its other parts are the arguments ---------------------------------------------


def _of_name(inference: Inference, path: str, term: Term) -> Iterator[Value]:
    for entity in inference.denoted(path, term):
        yield from inference.value_of(entity)


def _attribute(inference: Inference, path: str, receiver: Term, name: str) -> Iterator[Value]:
    for value in inference.values(path, receiver):
        yield from inference.attribute(value, name)


def _call(inference: Inference, path: str, callee: Term, first: Term | None) -> Iterator[Value]:
    for value in inference.values(path, callee):
        yield from inference.called(value, inference.values(path, first) if first else ())


def _item(inference: Inference, path: str, whole: Term, index: int | None) -> Iterator[Value]:
    for value in inference.values(path, whole):
        yield from protocols.item(inference, value, index)


def _compared(inference: Inference, path: str, left: Term, method: str) -> Iterator[Value]:
    for value in inference.values(path, left):
        own = value.kind == "instance" and value.path and any(e.path for e in inference.members(value, method))
        for found in inference.attribute(value, method) if own else ():
            yield from inference.called(found, ())
        if not own:
            yield builtin("bool")


def _each(protocol: Callable[[Inference, Value], Iterator[Value]]) -> "Rule":
    def rule(inference: Inference, path: str, whole: Term) -> Iterator[Value]:
        for value in inference.values(path, whole):
            yield from protocol(inference, value)

    return rule


def _one_of(inference: Inference, path: str, terms: tuple[Term, ...]) -> Iterator[Value]:
    for term in terms:
        yield from inference.values(path, term)


def _parametrized(inference: Inference, path: str, base: Term, arguments: tuple[Term, ...]) -> Iterator[Value]:
    parts = tuple(inference.values(path, ("inst", each)) for each in arguments)
    for value in inference.values(path, base):
        if value.kind in ("class", "outside"):
            yield value._replace(args=parts)


def _literal(inference: Inference, path: str, kind: str, terms: tuple[Term, ...]) -> Iterator[Value]:
    parts = [inference.values(path, term) for term in terms]
    if kind in ("tuple", "dict"):
        yield builtin(kind, *parts)
    else:
        yield builtin(kind, unique([value for part in parts for value in part]))


def _super(inference: Inference, value: Value) -> Iterator[Value]:
    if value.kind in ("class", "instance") and value.path:
        yield value._replace(kind="super")


def _class_of(inference: Inference, value: Value) -> Iterator[Value]:
    if value.kind == "instance":
        yield value._replace(kind="class" if value.path else "outside")


Rule = Callable[..., Iterable[Value]]
_rules: dict[str, Rule] = {
    "g": lambda inference, path, *rest: _of_name(inference, path, ("g", *rest)),
    "i": lambda inference, path, *rest: _of_name(inference, path, ("i", *rest)),
    "kw": lambda inference, path, *rest: _of_name(inference, path, ("kw", *rest)),
    "def": lambda inference, path, qualname: [Value("function", path, qualname)],
    "class": lambda inference, path, qualname: [Value("class", path, qualname)],
    ".": _attribute,
    "()": _call,
    "[]": _item,
    "cmp": _compared,
    "it": _each(protocols.iterated),
    "with": _each(protocols.entered),
    "aw": lambda inference, path, inner: inference.values(path, inner),
    "inst": _each(protocols.instance_of),
    "sub": _parametrized,
    "|": _one_of,
    "seq": _literal,
    "super": _each(_super),
    "type": _each(_class_of),
    "lit": lambda inference, path, name: [builtin(name)],
    "inherited": lambda inference, path, owner, *rest: inference.inherited(Entity(path, owner), *rest),
    "bound": lambda inference, path, inner: inference.values(path, inner),  # a type variable, and its bound
    "none": lambda inference, path: [NONE],
}


def _receiver(value: Value) -> Value:
    return value._replace(kind="instance") if value.kind in ("super", "class") else value
