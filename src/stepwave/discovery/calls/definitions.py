"""What defining a function or a class does: decorators, bases, metaclasses, and the hooks that making a class calls."""

from collections.abc import Sequence
from typing import Any

from stepwave.discovery.calls.attributes import c3
from stepwave.discovery.calls.core import Place
from stepwave.discovery.calls.heap import FALL, Frame
from stepwave.discovery.calls.patterns import Patterns
from stepwave.discovery.calls.values import (
    EMPTY,
    UNKNOWN,
    Args,
    Builtin,
    Class,
    Code,
    Container,
    External,
    Fact,
    Function,
    Instance,
    Known,
    Made,
    Partial,
    Unknown,
    Value,
    Wrapped,
    in_order,
    join_all,
    known,
    one,
)


class Definitions(Patterns):
    """Carries out `def` and `class`."""

    def believed(self, value: Value, fact: Fact, frame: Frame) -> Value:
        """An annotated name: a field of its class, and worth what is promised where nothing better is known."""
        target = fact[1][0]
        if frame.code.kind == "class" and target[0] == "n" and frame.owner and fact[3] != ("ClassVar",):
            self.field(frame, target[1], fact[3])
        if any(isinstance(atom, Unknown) for atom in value):
            return self.hinted(fact[3], frame.module, (frame.cells, *frame.scopes)) or value
        return value

    def field(self, frame: Frame, name: str, hint: tuple[str, ...]) -> None:
        if frame.owner is not None:
            if name not in frame.owner.fields:
                frame.owner.fields.append(name)
            frame.owner.hints[name] = hint

    def do_def(self, fact: Fact, frame: Frame) -> int:
        scope = fact[1]
        code = self.code(f"{frame.code.name}.{scope[2]}", scope, frame.module)
        function = Function(code, self.scopes_of(frame))
        function.owner = frame.owner
        function.returns = fact[5]
        self.give_defaults(function, fact[3], fact[4], frame)
        if frame.code.kind == "class" and scope[2] in ("__new__", "__init_subclass__", "__class_getitem__"):
            kind = "staticmethod" if scope[2] == "__new__" else "classmethod"
            value = one(Wrapped(kind, one(function)))
        else:
            value = one(function)
        self.assign_name(fact[6], self.decorated(value, fact[2], frame), frame)
        return FALL

    def decorated(self, value: Value, decorators: Fact, frame: Frame) -> Value:
        """Inner to outer, each with what the one before has given."""
        found = [(self.evaluate(fact, frame), line, column) for fact, line, column in decorators]
        for decorator, line, column in reversed(found):
            result = self.call(decorator, Args((value,)), frame, (line, column), "decorator")
            foreign = result and all(isinstance(atom, External | Unknown) for atom in result)
            value = value if foreign or not result else result
        return value

    def do_class(self, fact: Fact, frame: Frame) -> int:
        scope = fact[1]
        decorators = [(self.evaluate(d, frame), line, column) for d, line, column in fact[2]]
        bases = [self.evaluate(base[1] if base[0] == "*" else base, frame) for base in fact[3]]
        words = tuple([(name, self.evaluate(value, frame)) for name, value in fact[4] if name])
        code = self.code(f"{frame.code.name}.{scope[2]}", scope, frame.module)
        of = Class(code.name, code)
        self.classes.append(of)
        of.bases = self.base_atoms(bases, frame, scope[3:5])
        of.order = c3(of, of.bases)
        of.meta = self.metaclass(of, dict(words).get("metaclass", EMPTY))
        self.tag(of)
        self.class_body(of, code, frame)
        value = self.finished(of, words, frame, scope[3:5])
        for decorator, line, column in reversed(decorators):
            result = self.call(decorator, Args((value,)), frame, (line, column), "decorator")
            value = result if result and not all(isinstance(a, External | Unknown) for a in result) else value
        self.assign_name(scope[2], value, frame)
        return FALL

    def base_atoms(self, bases: Sequence[Value], frame: Frame, site: Place) -> tuple[Any, ...]:
        atoms: list[Any] = []
        for base in bases:
            for atom in in_order(base):
                made_by = self.special(atom, "__mro_entries__", Args((UNKNOWN,)), frame, site)
                atoms += [a for a in in_order(one(atom) if made_by is None else made_by) if a not in atoms]
        return tuple(atom for atom in atoms if isinstance(atom, Class | External | Builtin | Unknown))

    def metaclass(self, of: Class, given: Value) -> Any:
        own = next((atom for atom in in_order(given) if isinstance(atom, Class)), None)
        return own or next((base.meta for base in of.order[1:] if isinstance(base, Class) and base.meta), None)

    def tag(self, of: Class) -> None:
        for base in of.order[1:]:
            name = getattr(base, "name", "")
            if isinstance(base, External) and name.rpartition(".")[2] in (
                "Enum",
                "IntEnum",
                "StrEnum",
                "Flag",
                "IntFlag",
            ):
                of.tags.add("enum")
            if isinstance(base, External) and name in ("typing.NamedTuple", "pydantic.BaseModel", "msgspec.Struct"):
                of.tags.add("fields")
            if isinstance(base, Class):
                of.tags |= base.tags & {"enum"}

    def class_body(self, of: Class, code: Code, frame: Frame) -> None:
        inner = Frame(code, of.cells, self.scopes_of(frame))
        inner.owner = of
        self.declare(inner)
        self.edge(frame, code.name, (code.facts[3], code.facts[4]), "class body")
        outer = self.enter(inner)
        self.block(code.facts[6], inner)
        self.exit(inner, outer)

    def finished(self, of: Class, words: tuple[tuple[str, Value], ...], frame: Frame, site: Place) -> Value:
        """What making a class calls: the metaclass, `__set_name__` of what lies in it, `__init_subclass__`."""
        if "enum" in of.tags:
            self.members(of, frame, site)
        value = one(of)
        if isinstance(of.meta, Class):
            value = self.made_by_metaclass(of, words, frame, site)
        for name, found in list(of.cells.items()):
            for atom in in_order(found):
                if isinstance(atom, Instance) and not isinstance(name, int):
                    self.special(atom, "__set_name__", Args((value, known(name))), frame, site)
        hook = self.lookup(of, "__init_subclass__", of)
        if hook is not None:
            given = tuple(word for word in words if word[0] != "metaclass")
            self.call(self.through_class(hook[1], of, frame, site), Args((), given), frame, site, "dunder")
        return value

    def made_by_metaclass(self, of: Class, words: tuple[tuple[str, Value], ...], frame: Frame, site: Place) -> Value:
        bases = self.container("tuple", [one(base) for base in of.bases])
        namespace = Container("dict", of.cells | {"*class*": one(of)})
        given = (known(of.name.rpartition(".")[2]), bases, one(namespace))
        named = tuple(word for word in words if word[0] != "metaclass")
        value = one(of)
        for name in ("__prepare__", "__new__", "__init__"):
            if found := self.lookup(of.meta, name):
                function = join_all(a.get if isinstance(a, Wrapped) else one(a) for a in in_order(found[1]))
                first = one(of.meta) if name != "__init__" else value
                parts = given[:2] if name == "__prepare__" else given
                result = self.call(function, Args((first, *parts), named), frame, site, "dunder")
                if name == "__new__" and any(isinstance(a, Class) for a in result):
                    value = frozenset(a for a in result if isinstance(a, Class))
        return value

    def members(self, of: Class, frame: Frame, site: Place) -> None:
        """The constants in the body of an Enum become its instances."""
        for name, value in list(of.cells.items()):
            plain = all(isinstance(atom, Known | Made | Container | Unknown | External | Partial) for atom in value)
            if not isinstance(name, str) or name.startswith("_") or not plain:
                continue
            member = Instance(of)
            member.cells |= {"value": value, "_value_": value, "name": known(name)}
            args = Args(
                tuple(self.items(value) or (value,)) if any(isinstance(a, Container) for a in value) else (value,)
            )
            if found := self.lookup(of, "__init__"):
                self.call(self.bind(found[1], member, frame, site), args, frame, site, "constructor")
            self.store(of.cells, name, one(member))
