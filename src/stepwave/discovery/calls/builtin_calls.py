"""The functions of the `builtins` module, as far as they call anything or hand a value on."""

import builtins
from collections.abc import Callable
from typing import Any

from stepwave.discovery.calls.core import Place, unknown
from stepwave.discovery.calls.heap import Frame
from stepwave.discovery.calls.natives import Natives, argument
from stepwave.discovery.calls.operators import key_of
from stepwave.discovery.calls.values import (
    BOOL,
    EMPTY,
    NONE,
    REST,
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
    Value,
    Wrapped,
    in_order,
    join,
    join_all,
    known,
    made,
    one,
)

NAMES = frozenset(dir(builtins))
NUMBERS = {
    "int": "__int__", "float": "__float__", "complex": "__complex__", "abs": "__abs__", "round": "__round__",
    "hash": "__hash__", "bytes": "__bytes__", "dir": "__dir__", "hex": "__index__", "oct": "__index__",
    "bin": "__index__", "chr": "__index__", "divmod": "__divmod__", "pow": "__pow__",
}  # fmt: skip
GIVES = {
    "int": "int", "float": "float", "complex": "complex", "abs": "int", "round": "int", "hash": "int", "id": "int",
    "bytes": "bytes", "bytearray": "bytes", "chr": "str", "ord": "int", "hex": "str", "oct": "str", "bin": "str",
    "input": "str", "open": "file", "range": "range", "callable": "bool", "isinstance": "bool", "issubclass": "bool",
    "hasattr": "bool", "any": "bool", "all": "bool", "len": "int", "ascii": "str", "memoryview": "bytes",
}  # fmt: skip


def text_of(value: Value) -> str | None:
    """The text that a value is, when it is one that is known."""
    key = key_of(value)
    return key if isinstance(key, str) else None


class BuiltinCalls(Natives):
    """Calls what is found in no module of the tree but in `builtins`."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.builtins: dict[str, Callable[[Args, Frame, Place], Value]] = {
            name.removeprefix("do_"): getattr(self, name) for name in dir(self) if name.startswith("do_")
        }

    def call_builtin(self, name: str, args: Args, frame: Frame, site: Place, kind: str) -> Value:  # noqa: PLR0911 - a line for each kind
        if name == "super":
            self.edge(frame, "<builtin>.super", site, kind)
            return self.super_of(args, frame)
        owner, _, method = name.rpartition(".")
        if owner:
            return self.call_unbound(owner, method, args, frame, site)
        if kind != "decorator":  # `@property` makes a descriptor: no call that anyone waits for
            self.edge(frame, f"<builtin>.{name}", site, kind)
        if found := self.builtins.get(name):
            return found(args, frame, site)
        if name in NUMBERS:
            for atom in in_order(argument(args, 0)):
                result = self.special(atom, NUMBERS[name], Args(args.positional[1:]), frame, site)
                if result is not None and name not in GIVES:
                    return result
        self.callbacks(args, frame, site)
        if name in GIVES:
            return made(GIVES[name])
        if name in NAMES and name[:1].isupper():
            return made(name)
        return unknown(f"result of `{name}`")

    def call_unbound(self, owner: str, method: str, args: Args, frame: Frame, site: Place) -> Value:
        """`dict.get(d, "k")`, `object.__new__(cls)`, `type.__call__(cls)`."""
        if owner == "dict" and method == "fromkeys":
            return one(Container("dict", {REST: argument(args, 1) or NONE}))
        if method == "__new__":
            return self.object___new__(next(iter(argument(args, 0)), None), args, frame, site)
        if owner == "type" and method == "__call__":
            return self.constructed(argument(args, 0), args._replace(positional=args.positional[1:]), frame, site)
        rest = args._replace(positional=args.positional[1:])
        return join_all(
            self.call_native(Native(f"{owner}.{method}", atom), rest, frame, site)
            for atom in in_order(argument(args, 0))
        )

    def constructed(self, classes: Value, args: Args, frame: Frame, site: Place) -> Value:
        return join_all(self.construct(a, args, frame, site) for a in in_order(classes) if isinstance(a, Class))

    def super_of(self, args: Args, frame: Frame) -> Value:
        if args.positional:
            return frozenset(
                Super(of, receiver) for of in argument(args, 0) for receiver in argument(args, 1) or frame.receiver
            )
        if frame.owner is None:
            return unknown("super() outside of a class")
        return frozenset(Super(frame.owner, receiver) for receiver in frame.receiver)

    # texts and numbers

    def do_print(self, args: Args, frame: Frame, site: Place) -> Value:
        for value in args.positional:
            self.as_text(value, frame, site)
        return NONE

    def do_str(self, args: Args, frame: Frame, site: Place) -> Value:
        return self.as_text(argument(args, 0), frame, site)

    def do_repr(self, args: Args, frame: Frame, site: Place) -> Value:
        return self.as_text(argument(args, 0), frame, site, "__repr__")

    def do_format(self, args: Args, frame: Frame, site: Place) -> Value:
        return self.as_text(argument(args, 0), frame, site, "__format__")

    def do_bool(self, args: Args, frame: Frame, site: Place) -> Value:
        self.truth(argument(args, 0), frame, site)
        return BOOL

    def do_len(self, args: Args, frame: Frame, site: Place) -> Value:
        for atom in in_order(argument(args, 0)):
            self.special(atom, "__len__", Args(), frame, site)
        items = self.items(argument(args, 0))
        return made("int") if items is None else known(len(items))

    # iteration

    def do_iter(self, args: Args, frame: Frame, site: Place) -> Value:
        if argument(args, 1):
            return self.rest("iterator", self.call(argument(args, 0), Args(), frame, site, "callback"))
        result = EMPTY
        for atom in in_order(argument(args, 0)):
            found = self.special(atom, "__iter__", Args(), frame, site)
            if found is None:
                container = self.held(atom)
                found = one(atom) if container is None else one(self.iterator_on(container))
            result = join(result, found)
        return result

    def iterator_on(self, container: Container) -> Container:
        items = self.items(one(container))
        if items is None:
            return Container("iterator", {REST: self.iterate(one(container), self.outermost, (0, 0))})
        return Container("iterator", dict(enumerate(items)), len(items))

    outermost: Frame

    def do_next(self, args: Args, frame: Frame, site: Place) -> Value:
        result = argument(args, 1)
        for atom in in_order(argument(args, 0)):
            if isinstance(atom, Container) and atom.kind == "iterator" and atom.size:
                result = join(result, self.take(atom, 0))
            else:
                result = join(result, self.next_of(atom, frame, site))
        return result

    do_anext = do_next

    def do_aiter(self, args: Args, frame: Frame, site: Place) -> Value:
        return join_all(
            found if (found := self.special(atom, "__aiter__", Args(), frame, site)) is not None else one(atom)
            for atom in in_order(argument(args, 0))
        )

    def sequence(self, kind: str, args: Args, frame: Frame, site: Place) -> Value:
        source = argument(args, 0)
        if not source:
            return self.container(kind, [])
        items = self.items(source)
        if items is not None and kind != "set":
            return self.container(kind, items)
        elements = self.iterate(source, frame, site)
        for atom in in_order(source):
            if isinstance(atom, Instance) and self.lookup(atom.of, "__iter__") and kind != "set":
                self.special(atom, "__len__", Args(), frame, site)  # asked for a hint of the length
        return self.rest(kind, elements)

    def do_list(self, args: Args, frame: Frame, site: Place) -> Value:
        return self.sequence("list", args, frame, site)

    def do_tuple(self, args: Args, frame: Frame, site: Place) -> Value:
        return self.sequence("tuple", args, frame, site)

    def do_set(self, args: Args, frame: Frame, site: Place) -> Value:
        made_set = self.sequence("set", args, frame, site)
        for atom in made_set:
            self.hashed(join_all(atom.elements()), atom, frame, site)
        return made_set

    do_frozenset = do_set

    def do_dict(self, args: Args, frame: Frame, site: Place) -> Value:
        container = Container("dict", {})
        self.dict_update(container, args, frame, site)
        if args.more_named:
            self.add(container.slots, REST, args.more_named)
        return one(container)

    def do_range(self, args: Args, frame: Frame, site: Place) -> Value:
        ends = [key_of(value) for value in args.positional]
        if all(isinstance(end, int) for end in ends) and 0 < len(ends) <= 3 and 0 not in ends[2:]:
            numbers = range(*ends)[:9]
            if len(numbers) < 9:
                return self.container("iterator", [known(number) for number in numbers])
        return made("range")

    def do_reversed(self, args: Args, frame: Frame, site: Place) -> Value:
        found = EMPTY
        for atom in in_order(argument(args, 0)):
            result = self.special(atom, "__reversed__", Args(), frame, site)
            if result is None and isinstance(atom, Instance):
                self.special(atom, "__len__", Args(), frame, site)
                result = self.special(atom, "__getitem__", Args((made("int"),)), frame, site)
                result = None if result is None else self.rest("iterator", result)
            found = join(found, result or EMPTY)
        items = self.items(argument(args, 0))
        if items is not None:
            return self.container("iterator", items[::-1])
        return found or self.rest("iterator", self.iterate(argument(args, 0), frame, site))

    def do_enumerate(self, args: Args, frame: Frame, site: Place) -> Value:
        items = self.items(argument(args, 0))
        if items is not None:
            pairs = [self.container("tuple", [known(i), value]) for i, value in enumerate(items)]
            return self.container("iterator", pairs)
        element = self.iterate(argument(args, 0), frame, site)
        return self.rest("iterator", self.container("tuple", [made("int"), element]))

    def do_zip(self, args: Args, frame: Frame, site: Place) -> Value:
        columns = [self.items(value) for value in args.positional]
        if columns and None not in columns:
            rows = zip(*[column or [] for column in columns], strict=False)
            return self.container("iterator", [self.container("tuple", list(row)) for row in rows])
        elements = [self.iterate(value, frame, site) for value in args.positional]
        return self.rest("iterator", self.container("tuple", elements))

    def do_map(self, args: Args, frame: Frame, site: Place) -> Value:
        columns = [self.items(value) for value in args.positional[1:]]
        if len(columns) == 1 and columns[0] is not None and len(columns[0]) <= 8:
            function = argument(args, 0)
            return self.container(
                "iterator", [self.call(function, Args((v,)), frame, site, "callback") for v in columns[0]]
            )
        elements = tuple([self.iterate(value, frame, site) for value in args.positional[1:]])
        return self.rest("iterator", self.call(argument(args, 0), Args(elements), frame, site, "callback"))

    def do_filter(self, args: Args, frame: Frame, site: Place) -> Value:
        elements = self.iterate(argument(args, 1), frame, site)
        if argument(args, 0) <= NONE:
            self.truth(elements, frame, site)
        else:
            self.truth(self.call(argument(args, 0), Args((elements,)), frame, site, "callback"), frame, site)
        return self.rest("iterator", elements)

    def do_sorted(self, args: Args, frame: Frame, site: Place) -> Value:
        elements = self.iterate(argument(args, 0), frame, site)
        self.ordered(elements, argument(args, 9, "key"), frame, site, "lt")
        return self.rest("list", elements)

    def smallest(self, args: Args, frame: Frame, site: Place, name: str) -> Value:
        several = len(args.positional) > 1
        elements = join_all(args.positional) if several else self.iterate(argument(args, 0), frame, site)
        self.ordered(elements, argument(args, 99, "key"), frame, site, name)
        return join(elements, argument(args, 99, "default"))

    def do_min(self, args: Args, frame: Frame, site: Place) -> Value:
        return self.smallest(args, frame, site, "lt")

    def do_max(self, args: Args, frame: Frame, site: Place) -> Value:
        return self.smallest(args, frame, site, "gt")

    def do_sum(self, args: Args, frame: Frame, site: Place) -> Value:
        elements = self.iterate(argument(args, 0), frame, site)
        start = argument(args, 1, "start") or known(0)
        first = self.binary("add", start, elements, frame, site)
        if any(isinstance(atom, Instance) for atom in first) and len(self.items(argument(args, 0)) or "ab") > 1:
            return join(first, self.binary("add", first, elements, frame, site))
        return first

    def do_any(self, args: Args, frame: Frame, site: Place) -> Value:
        self.truth(self.iterate(argument(args, 0), frame, site), frame, site)
        return BOOL

    do_all = do_any

    # attributes by name, and what makes attributes

    def do_getattr(self, args: Args, frame: Frame, site: Place) -> Value:
        names = [atom.value for atom in in_order(argument(args, 1)) if isinstance(atom, Known) and atom.kind == "str"]
        if not names or len(names) != len(argument(args, 1)):
            return join(unknown("an attribute of a computed name"), argument(args, 2))
        found = join_all(self.attribute(argument(args, 0), name, frame, site) for name in names)
        other = argument(args, 2)
        return found if found and not any(isinstance(a, External) for a in found) else join(found, other)

    def do_setattr(self, args: Args, frame: Frame, site: Place) -> Value:
        names = [atom.value for atom in argument(args, 1) if isinstance(atom, Known) and atom.kind == "str"]
        for name in sorted(names):
            self.set_attribute(argument(args, 0), name, argument(args, 2), frame, site)
        return NONE

    def do_hasattr(self, args: Args, frame: Frame, site: Place) -> Value:
        if name := text_of(argument(args, 1)):
            self.attribute(argument(args, 0), name, frame, site)
        return BOOL

    def do_delattr(self, args: Args, frame: Frame, site: Place) -> Value:
        if name := text_of(argument(args, 1)):
            self.delete_attribute(argument(args, 0), name, frame, site)
        return NONE

    def do_vars(self, args: Args, frame: Frame, site: Place) -> Value:
        if not args.positional:
            return one(Container("dict", frame.cells))
        return join_all(
            one(Container("dict", atom.cells))
            for atom in in_order(argument(args, 0))
            if isinstance(atom, Instance | Class | Module)
        )

    do_locals = do_vars

    def do_globals(self, args: Args, frame: Frame, site: Place) -> Value:
        return one(Container("dict", frame.module.cells))

    def do_property(self, args: Args, frame: Frame, site: Place) -> Value:
        parts = (argument(args, 0, "fget"), argument(args, 1, "fset"), argument(args, 2, "fdel"))
        return one(Wrapped("property", *parts))

    def do_staticmethod(self, args: Args, frame: Frame, site: Place) -> Value:
        return one(Wrapped("staticmethod", argument(args, 0)))

    def do_classmethod(self, args: Args, frame: Frame, site: Place) -> Value:
        return one(Wrapped("classmethod", argument(args, 0)))

    def do_type(self, args: Args, frame: Frame, site: Place) -> Value:
        if len(args.positional) >= 3:
            return self.class_from(None, args, frame, site)
        return join_all(self.type_of(atom) for atom in in_order(argument(args, 0)))

    def type_of(self, atom: Any) -> Value:
        match atom:
            case Instance():
                return one(atom.of)
            case Known(_, kind) | Made(kind) | Container(kind=kind):
                return one(Builtin(kind))
            case Class():
                return one(atom.meta or Builtin("type"))
            case Function() | Bound() | Generator() | Partial():
                return one(Builtin("function"))
        return unknown("type of what is not known")

    def do_isinstance(self, args: Args, frame: Frame, site: Place) -> Value:
        for of in in_order(argument(args, 1)):
            self.special(of, "__instancecheck__", Args((argument(args, 0),)), frame, site)
        return BOOL

    def do_issubclass(self, args: Args, frame: Frame, site: Place) -> Value:
        for of in in_order(argument(args, 1)):
            self.special(of, "__subclasscheck__", Args((argument(args, 0),)), frame, site)
        return BOOL

    def do_eval(self, args: Args, frame: Frame, site: Place) -> Value:
        return self.run_text(argument(args, 0), frame, site, "eval")

    def do_exec(self, args: Args, frame: Frame, site: Place) -> Value:
        self.run_text(argument(args, 0), frame, site, "exec")
        return NONE

    def do___import__(self, args: Args, frame: Frame, site: Place) -> Value:
        name = text_of(argument(args, 0))
        return self.find(name.partition(".")[0], frame.module.path) if name else unknown("a module of a computed name")

    def run_text(self, text: Value, frame: Frame, site: Place, mode: str) -> Value:
        """The constant text of an `eval` or `exec`, in the scope where it stands."""
        import ast
        import warnings

        from stepwave.discovery.calls.lower import Statements

        source = text_of(text)
        if source is None:
            self.miss(frame, mode, site, f"{mode} of a text that is not known")
            return UNKNOWN
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(source.strip())
        except (SyntaxError, ValueError, RecursionError):
            return UNKNOWN
        ast.increment_lineno(tree, site[0] - 1)
        facts = Statements(None).module(tree)[6]
        if mode == "eval" and len(facts) == 1 and facts[0][0] == "e":
            return self.evaluate(facts[0][1], frame)
        self.block(facts, frame)
        return UNKNOWN
