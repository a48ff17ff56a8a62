"""Attributes, as the language looks them up: the C3 order, descriptors, `__getattr__`, modules and their submodules.

What is not there gives the empty value, for the program would raise there; what cannot be known gives ANY.
"""

import builtins
from collections.abc import Sequence
from typing import Any

from stepwave.discovery.calls.core import Core, Place, unknown
from stepwave.discovery.calls.heap import Frame
from stepwave.discovery.calls.values import (
    ANY,
    EMPTY,
    NONE,
    UNKNOWN,
    Args,
    Bound,
    Builtin,
    Class,
    Container,
    External,
    Function,
    Generator,
    Instance,
    Known,
    Made,
    Module,
    Native,
    Partial,
    Super,
    Task,
    Unknown,
    Value,
    Wrapped,
    in_order,
    join,
    known,
    made,
    one,
)

PLAIN_BASES = frozenset(
    [
        "object",
        "ABC",
        "abc.ABC",
        "typing.Generic",
        "typing.Protocol",
        "typing_extensions.Protocol",
        "typing.NamedTuple",
        "enum.Enum",
        "enum.IntEnum",
        "enum.StrEnum",
        "enum.Flag",
        "enum.IntFlag",
        "Generic",
        "Protocol",
    ]
)
"""Bases without methods that a program would call by name."""


def c3(head: Class, bases: tuple[Any, ...]) -> tuple[Any, ...]:
    """The C3 linearization (Barrett et al. 1996). Orders that Python would refuse are joined as they come."""
    lists = [list(base.order) if isinstance(base, Class) else [base] for base in bases]
    lists.append(list(bases))
    order: list[Any] = [head]
    while lists := [rest for rest in lists if rest]:
        pick = next((r[0] for r in lists if not any(r[0] in other[1:] for other in lists)), lists[0][0])
        order.append(pick)
        lists = [[item for item in rest if item != pick] for rest in lists]
    return tuple(order)


class Attributes(Core):
    """Reads and writes attributes of every kind of atom."""

    def attribute(self, value: Value, name: str, frame: Frame, site: Place) -> Value:
        if len(value) == 1:
            (atom,) = value
            return self.attribute_of(atom, name, frame, site)
        result = EMPTY
        for atom in in_order(value):
            result = join(result, self.attribute_of(atom, name, frame, site))
        return result

    def attribute_of(self, atom: Any, name: str, frame: Frame, site: Place) -> Value:  # noqa: PLR0911 - a line for each kind
        match atom:
            case Unknown():  # first, for in large programs most are
                return one(atom)
            case Instance():
                return self.of_instance(atom, name, frame, site)
            case External():
                return one(External(f"{atom.name}.{name}"))
            case Module():
                return self.of_module(atom, name, frame, site)
            case Class():
                return self.of_class(atom, name, frame, site)
            case Super():
                return self.of_super(atom, name, frame, site)
        return self.of_builtin_value(atom, name, frame, site)

    def of_builtin_value(self, atom: Any, name: str, frame: Frame, site: Place) -> Value:  # noqa: PLR0911 - a line for each kind
        match atom:
            case Function():
                return self.of_function(atom, name)
            case Bound(function, receiver):
                if name == "__self__":
                    return one(receiver)
                return one(function) if name == "__func__" else self.attribute_of(function, name, frame, site)
            case Known(None, "NoneType"):
                return EMPTY
            case Known(_, kind) | Made(kind):
                of = getattr(builtins, kind, None)
                return one(Native(f"{kind}.{name}", atom)) if of is None or hasattr(of, name) else EMPTY
            case Container(kind=kind):
                of = getattr(builtins, kind, None)
                return one(Native(f"{kind}.{name}", atom)) if of is None or hasattr(of, name) or atom.default else EMPTY
            case Builtin(owner):
                return one(Builtin(f"{owner}.{name}"))
            case Wrapped():
                return self.of_wrapped(atom, name)
            case Partial():
                return {"func": atom.function}.get(name, UNKNOWN)
        return self.of_task(atom, name)

    def of_task(self, atom: Any, name: str) -> Value:
        match atom:
            case Generator():
                return one(Native(f"generator.{name}", atom))
            case Task(kind, value):
                return value if name == "*" else one(Native(f"{kind}.{name}", atom))
        return unknown(f"attribute `{name}` of what is not known")

    def of_function(self, function: Function, name: str) -> Value:
        if name in function.cells:
            return function.cells[name]
        if name in ("__name__", "__qualname__"):
            return known(function.code.facts[2])
        if name in ("__doc__", "__module__"):
            return made("str")
        return one(Native("function.__call__", function)) if name == "__call__" else EMPTY

    def of_wrapped(self, atom: Wrapped, name: str) -> Value:
        if name in ("fget", "func", "__func__", "__wrapped__"):
            return atom.get
        if name in ("setter", "deleter", "getter", "register"):
            return one(Native(f"property.{name}", atom))
        return {"fset": atom.set, "fdel": atom.delete}.get(name, UNKNOWN)

    # modules

    def of_module(self, module: Module, name: str, frame: Frame, site: Place) -> Value:
        if found := module.cells.get(name):
            return found
        if sub := self.submodule(module, name):
            return sub
        if (special := module.cells.get("__getattr__")) and name != "__path__":
            return self.call(special, Args((known(name),)), frame, site, "dunder")
        if name in ("__name__", "__file__", "__doc__", "__package__"):
            return known(module.name) if name == "__name__" else made("str")
        if name == "__dict__":
            return one(Container("dict", module.cells))
        return unknown(f"`{module.name}` has no `{name}` that is written down")

    def submodule(self, module: Module, name: str) -> Value:
        raise NotImplementedError

    # classes and their instances

    def lookup(self, of: Class, name: str, after: Any = None) -> tuple[Any, Value] | None:
        """Who in the order of a class has a name, and what it is there."""
        order: Sequence[Any] = of.order
        if after is not None:
            order = order[order.index(after) + 1 :] if after in order else ()
        for owner in order:
            if isinstance(owner, Class) and (found := owner.cells.get(name)):
                return owner, found
        return None

    def inherited(self, of: Class, name: str, receiver: Any, after: Any = None) -> Value:
        """What a base that is no class of the tree has under a name."""
        order = of.order if after is None or after not in of.order else of.order[of.order.index(after) + 1 :]
        for base in order:
            if isinstance(base, External) and base.name not in PLAIN_BASES:
                return one(External(f"{base.name}.{name}"))
            if isinstance(base, Builtin) and base.name != "object":
                return one(Native(f"{base.name}.{name}", receiver))
            if isinstance(base, Unknown):
                return unknown("inherited from a base that is not known")
        return one(Native(f"object.{name}", receiver)) if name in OF_OBJECT else EMPTY

    def of_instance(self, atom: Instance, name: str, frame: Frame, site: Place) -> Value:
        if (special := self.lookup(atom.of, "__getattribute__")) and frame.receiver != one(atom):
            return self.call(self.bind(special[1], atom, frame, site), Args((known(name),)), frame, site, "dunder")
        found = self.lookup(atom.of, name)
        if found and any(self.is_data(descriptor) for descriptor in found[1]):
            return self.bind(found[1], atom, frame, site, name)
        own = atom.cells.get(name, EMPTY)
        if own and atom.single:
            return own
        if found:
            own = join(own, self.bind(found[1], atom, frame, site, name))
        if not atom.single:
            own = join(own, self.ever(atom.of, name))
        return own or self.missing(atom, name, frame, site)

    def missing(self, atom: Instance, name: str, frame: Frame, site: Place) -> Value:
        if name in ("__class__", "__dict__"):
            return one(atom.of) if name == "__class__" else one(Container("dict", atom.cells))
        if special := self.lookup(atom.of, "__getattr__"):
            return self.call(self.bind(special[1], atom, frame, site), Args((known(name),)), frame, site, "dunder")
        return self.ever(atom.of, name) or self.inherited(atom.of, name, atom)

    def ever(self, of: Class, name: str) -> Value:
        result = EMPTY
        for owner in of.order:
            if isinstance(owner, Class):
                result = join(result, owner.ever.get(name, EMPTY))
        return result

    def is_data(self, atom: Any) -> bool:
        if isinstance(atom, Wrapped):
            return atom.kind == "property"
        return isinstance(atom, Instance) and self.lookup(atom.of, "__set__") is not None

    def bind(self, value: Value, receiver: Any, frame: Frame, site: Place, name: str = "") -> Value:
        """What an attribute of the class is when it is read through an instance."""
        if len(value) == 1:
            (atom,) = value
            if atom.__class__ is Function:
                return one(Bound(atom, receiver))
        result = EMPTY
        for atom in in_order(value):
            result = join(result, self.bound(atom, receiver, frame, site, name))
        return result

    def bound(self, atom: Any, receiver: Any, frame: Frame, site: Place, name: str) -> Value:  # noqa: PLR0911 - a line for each kind
        match atom:
            case Function():
                return one(Bound(atom, receiver))
            case Wrapped(kind="property"):
                return self.call(atom.get, Args((one(receiver),)), frame, site, "property")
            case Wrapped(kind="cached_property"):
                value = self.call(atom.get, Args((one(receiver),)), frame, site, "property")
                if isinstance(receiver, Instance) and name:
                    self.store(receiver.cells, name, value)
                return value
            case Wrapped(kind="staticmethod"):
                return atom.get
            case Wrapped(kind="classmethod"):
                return self.bind(atom.get, receiver.of if isinstance(receiver, Instance) else receiver, frame, site)
            case Wrapped(kind="partialmethod"):
                return frozenset(
                    Partial(self.bind(part.function, receiver, frame, site), part.args) for part in in_order(atom.get)
                )
            case Wrapped(kind="context"):
                return one(Wrapped("context", self.bind(atom.get, receiver, frame, site)))
            case Instance() if special := self.lookup(atom.of, "__get__"):
                of = one(receiver.of) if isinstance(receiver, Instance) else UNKNOWN
                return self.call(
                    self.bind(special[1], atom, frame, site), Args((one(receiver), of)), frame, site, "dunder"
                )
        return one(atom)

    def of_class(self, of: Class, name: str, frame: Frame, site: Place) -> Value:
        if found := self.lookup(of, name):
            return self.through_class(found[1], of, frame, site)
        if isinstance(of.meta, Class) and (found := self.lookup(of.meta, name)):
            return self.bind(found[1], of, frame, site)
        if name in ("__name__", "__qualname__", "__module__", "__doc__"):
            return known(of.name.rpartition(".")[2]) if name == "__name__" else made("str")
        if name in ("__mro__", "__bases__", "__dict__", "__subclasses__"):
            return one(Container("dict", of.cells)) if name == "__dict__" else unknown(f"`{name}` of a class")
        if isinstance(of.meta, Class) and (special := self.lookup(of.meta, "__getattr__")):
            return self.call(self.bind(special[1], of, frame, site), Args((known(name),)), frame, site, "dunder")
        return self.inherited(of, name, of) or self.ever(of, name)

    def through_class(self, value: Value, of: Class, frame: Frame, site: Place) -> Value:
        result = EMPTY
        for atom in in_order(value):
            match atom:
                case Wrapped(kind="staticmethod"):
                    result = join(result, atom.get)
                case Wrapped(kind="classmethod"):
                    result = join(result, self.bind(atom.get, of, frame, site))
                case Instance() if special := self.lookup(atom.of, "__get__"):
                    getter = self.bind(special[1], atom, frame, site)
                    result = join(result, self.call(getter, Args((NONE, one(of))), frame, site, "dunder"))
                case _:
                    result = join(result, one(atom))
        return result

    def of_super(self, atom: Super, name: str, frame: Frame, site: Place) -> Value:
        receiver = atom.receiver
        of = receiver.of if isinstance(receiver, Instance) else receiver
        if not isinstance(of, Class):
            return UNKNOWN
        if isinstance(receiver, Class) and isinstance(receiver.meta, Class) and atom.after in receiver.meta.order:
            of = receiver.meta  # a method of a metaclass: its self is a class
        found = self.lookup(of, name, atom.after)
        if found:
            if name == "__new__":
                return found[1]
            return self.bind(found[1], receiver, frame, site)
        return self.inherited(of, name, receiver, atom.after)

    # writing

    def set_attribute(self, value: Value, name: str, new: Value, frame: Frame, site: Place) -> None:
        alone = len(value) == 1
        for atom in in_order(value):
            match atom:
                case Instance():
                    self.set_on_instance(atom, name, new, frame, site, alone)
                case Class() | Module() | Function():
                    (self.store if alone else self.add)(atom.cells, name, new)
                case Bound(Function() as function, _):
                    self.add(function.cells, name, new)

    def set_on_instance(self, atom: Instance, name: str, new: Value, frame: Frame, site: Place, alone: bool) -> None:
        if found := self.lookup(atom.of, name):
            for descriptor in in_order(found[1]):
                if self.is_data(descriptor):
                    self.write_through(descriptor, atom, new, frame, site)
                    return
        if (special := self.lookup(atom.of, "__setattr__")) and frame.code.name != f"{special[0].name}.__setattr__":
            self.call(self.bind(special[1], atom, frame, site), Args((known(name), new)), frame, site, "dunder")
            return
        (self.store if alone and atom.single else self.add)(atom.cells, name, new)
        self.add(atom.of.ever, name, new)

    def write_through(self, descriptor: Any, atom: Instance, new: Value, frame: Frame, site: Place) -> None:
        if isinstance(descriptor, Wrapped):
            self.call(descriptor.set, Args((one(atom), new)), frame, site, "property")
        elif special := self.lookup(descriptor.of, "__set__"):
            setter = self.bind(special[1], descriptor, frame, site)
            self.call(setter, Args((one(atom), new)), frame, site, "dunder")

    def delete_attribute(self, value: Value, name: str, frame: Frame, site: Place) -> None:
        for atom in in_order(value):
            if not isinstance(atom, Instance):
                continue
            for descriptor in in_order((self.lookup(atom.of, name) or (None, EMPTY))[1]):
                if isinstance(descriptor, Wrapped):
                    self.call(descriptor.delete, Args((one(atom),)), frame, site, "property")
                elif isinstance(descriptor, Instance):
                    self.special(descriptor, "__delete__", Args((one(atom),)), frame, site)
            self.special(atom, "__delattr__", Args((known(name),)), frame, site)
            if name in atom.cells:
                self.store(atom.cells, name, EMPTY)

    # what the language calls by itself

    def special(
        self, atom: Any, name: str, args: Args, frame: Frame, site: Place, kind: str = "dunder"
    ) -> Value | None:
        """Call a dunder of an object, looked up on its class as the language does; None when the tree has none."""
        if atom.__class__ is Instance:
            of = atom.of
        elif atom.__class__ is not Class or atom.meta is None:
            return None
        else:
            of = atom.meta
        found = self.lookup(of, name) if isinstance(of, Class) else None
        if found is None or found[1] == NONE:
            return None
        return self.call(self.bind(found[1], atom, frame, site), args, frame, site, kind)


OF_OBJECT = frozenset(
    [
        "__init__",
        "__new__",
        "__repr__",
        "__str__",
        "__eq__",
        "__ne__",
        "__hash__",
        "__setattr__",
        "__getattribute__",
        "__delattr__",
        "__format__",
        "__init_subclass__",
        "__reduce__",
        "__reduce_ex__",
        "__sizeof__",
        "__dir__",
        "__lt__",
        "__le__",
        "__gt__",
        "__ge__",
    ]
)

__all__ = ["ANY", "Attributes", "c3"]
