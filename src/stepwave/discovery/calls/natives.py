"""Methods of built-in values: what they call back, and what becomes of the elements."""

from collections.abc import Callable
from typing import Any

from stepwave.discovery.calls.core import Place, unknown
from stepwave.discovery.calls.heap import Frame
from stepwave.discovery.calls.operators import Operators, keys_of
from stepwave.discovery.calls.values import (
    EMPTY,
    NONE,
    REST,
    SIZE,
    UNKNOWN,
    Args,
    Bound,
    Class,
    Container,
    External,
    Function,
    Generator,
    Instance,
    Known,
    Native,
    Partial,
    Task,
    Value,
    Wrapped,
    in_order,
    join,
    join_all,
    known,
    made,
    one,
)

Native_ = Callable[[Any, Args, Frame, Place], Value]

RESULTS = {
    "split": "list", "rsplit": "list", "splitlines": "list", "partition": "tuple", "rpartition": "tuple",
    "encode": "bytes", "decode": "str", "startswith": "bool", "endswith": "bool", "find": "int", "rfind": "int",
    "index": "int", "rindex": "int", "count": "int", "isdigit": "bool", "isalpha": "bool", "isidentifier": "bool",
    "isupper": "bool", "islower": "bool", "isspace": "bool", "isalnum": "bool", "bit_length": "int",
}  # fmt: skip
"""What a method of a text or number gives, where it is not its own type."""


def argument(args: Args, index: int, name: str = "") -> Value:
    """An argument by its place or name; empty when it was not given."""
    if index < len(args.positional):
        return args.positional[index]
    found = next((value for key, value in args.named if key == name), EMPTY)
    return found or args.more or EMPTY


class Natives(Operators):
    """Calls methods of lists, dicts, sets, texts, generators, properties and of `object`."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.natives: dict[str, Native_] = {}
        for prefix in (
            "list_",
            "dict_",
            "set_",
            "str_",
            "generator_",
            "property_",
            "object_",
            "type_",
            "pool_",
            "any_",
        ):
            for name in dir(self):
                if name.startswith(prefix):
                    self.natives[name.replace("_", ".", 1)] = getattr(self, name)

    def call_native(self, native: Native, args: Args, frame: Frame, site: Place) -> Value:
        kind, _, name = native.name.partition(".")
        if kind in OF_TYPE and not isinstance(native.receiver, OF_TYPE[kind]):
            return UNKNOWN  # of a class that extends property, say
        if not name.startswith("__") and kind not in UNSEEN:
            self.edge(frame, f"<builtin>.{native.name}", site, "explicit")
        for sort in (kind, FAMILY.get(kind, "any"), "any", "object"):
            if found := self.natives.get(f"{sort}.{name}"):
                return found(native.receiver, args, frame, site)
        if kind in ("str", "bytes", "int", "float"):
            return made(RESULTS.get(name, kind))
        self.callbacks(args, frame, site)
        return UNKNOWN if kind not in ("object", "type") else NONE

    def callbacks(self, args: Args, frame: Frame, site: Place) -> None:
        """Generators that are handed to code that is not read are taken to be used there."""
        for value in (*args.positional, *(value for _, value in args.named)):
            for atom in in_order(value):
                if isinstance(atom, Generator):
                    self.force(atom)

    def store_on(self, receiver: Any) -> Container | None:
        return self.held(receiver)

    # list

    def list_append(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        if (container := self.held(receiver)) is not None:
            self.push(container, argument(args, 0))
        return NONE

    def list_insert(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        container = self.held(receiver)
        if container is None:
            return NONE
        items = self.items(one(container))
        place = argument(args, 0)
        if items is not None and len(place) == 1 and isinstance(p := next(iter(place)), Known) and p.kind == "int":
            items.insert(p.value, argument(args, 1))
            self.refill(container, items)
        else:
            self.scatter(container, argument(args, 1))
        return NONE

    def refill(self, container: Container, items: list[Value]) -> None:
        for index, value in enumerate(items):
            self.store(container.slots, index, value)
        self.store(container.slots, SIZE, known(len(items)))

    def scatter(self, container: Container, more: Value) -> None:
        """From now on only the sort of the elements is known."""
        self.add(container.slots, REST, join(more, join_all(container.elements())))
        if container.size is not None:
            self.store(container.slots, SIZE, EMPTY)

    def list_extend(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        container = self.held(receiver)
        items = self.items(argument(args, 0))
        if container is None:
            return NONE
        if items is None:
            self.scatter(container, self.iterate(argument(args, 0), frame, site))
        for value in items or ():
            self.push(container, value)
        return NONE

    def list_pop(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        container = self.held(receiver)
        if container is None:
            return UNKNOWN
        if container.kind == "set":
            return join_all(container.elements())
        place = argument(args, 0) or known(-1)
        return self.take(container, next(iter(place)).value if isinstance(next(iter(place)), Known) else None)

    def list_popleft(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        return self.list_pop(receiver, Args((known(0),)), frame, site)

    def list_remove(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        container = self.held(receiver)
        if container is None:
            return NONE
        items = self.items(one(container))
        if items is not None and argument(args, 0) in items:
            self.take(container, items.index(argument(args, 0)))
        else:
            self.compare("eq", join_all(container.elements()), argument(args, 0), frame, site)
            self.scatter(container, EMPTY)
        return NONE

    def list_reverse(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        container = self.held(receiver)
        if container is not None and (items := self.items(one(container))) is not None:
            self.refill(container, items[::-1])
        return NONE

    def list_sort(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        container = self.held(receiver)
        if container is not None:
            self.ordered(join_all(container.elements()), argument(args, 9, "key"), frame, site, "lt")
            self.scatter(container, EMPTY)
        return NONE

    def ordered(self, elements: Value, key: Value, frame: Frame, site: Place, name: str) -> None:
        """What sorting or choosing calls: the key of each element, and the comparison of what is compared."""
        if key and not key <= NONE:
            elements = self.call(key, Args((elements,)), frame, site, "callback")
        inner = [value for atom in in_order(elements) if isinstance(atom, Container) for value in atom.elements()]
        elements = join(elements, join_all(inner))  # sequences are compared element by element
        if any(isinstance(atom, Instance) for atom in elements):
            self.compare(name, elements, elements, frame, site)

    def any_clear(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        if (container := self.held(receiver)) is not None:
            for key in list(container.slots):
                self.store(container.slots, key, EMPTY)
            if container.kind == "list":
                self.store(container.slots, SIZE, known(0))
        return NONE

    def any_copy(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        container = self.held(receiver)
        return UNKNOWN if container is None else self.copied(container)

    def copied(self, container: Container, kind: str = "") -> Value:
        copy = Container(kind or container.kind, dict(container.slots))
        copy.default = container.default
        return one(copy)

    # dict

    def dict_get(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        container = self.held(receiver)
        if container is None:
            return UNKNOWN
        key = argument(args, 0)
        self.hashed(key, container, frame, site)
        plain = Container("dict", container.slots)
        found = self.element(plain, key, frame, site)
        certain = found and len(key) == 1 and REST not in container.slots and isinstance(next(iter(key)), Known)
        return found if certain else join(found, argument(args, 1, "default") or NONE)

    def dict_setdefault(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        container = self.held(receiver)
        if container is None:
            return UNKNOWN
        key, other = argument(args, 0), argument(args, 1) or NONE
        self.hashed(key, container, frame, site)
        found = self.element(Container("dict", container.slots), key, frame, site)
        if found and len(key) == 1 and isinstance(next(iter(key)), Known):
            return found
        self.write_item(container, key, join(found, other), True)
        return join(found, other)

    def dict_pop(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        found = self.dict_get(receiver, args, frame, site)
        self.delete_item(one(receiver), argument(args, 0), frame, site)
        return found if argument(args, 1) or not found > NONE else found - NONE

    def dict_popitem(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        container = self.held(receiver)
        return UNKNOWN if container is None else self.pair(container)

    def dict_update(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        container = self.held(receiver)
        if container is None:
            return NONE
        if container.kind == "set":
            return self.list_extend(receiver, args, frame, site)
        for atom in in_order(argument(args, 0)):
            other = self.held(atom)
            if other is not None and other.kind == "dict":
                for key, value in list(other.slots.items()):
                    (self.add if key == REST else self.store)(container.slots, key, value)
            else:
                self.update_from_pairs(container, one(atom), frame, site)
        for name, value in args.named:
            self.store(container.slots, name, value)
        return NONE

    def update_from_pairs(self, container: Container, pairs: Value, frame: Frame, site: Place) -> None:
        items = self.items(pairs)
        for pair in items if items is not None else [self.iterate(pairs, frame, site)]:
            key, value = self.unpack(pair, 2, None, frame, site)
            self.write_item(container, key, value, items is not None)

    def pair(self, container: Container) -> Value:
        values = join_all(v for k, v in container.slots.items() if k != SIZE)
        return self.container("tuple", [keys_of(container.slots), values])

    def dict_items(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        container = self.held(receiver)
        if container is None:
            return UNKNOWN
        keys = self.items(one(container))
        if keys is None or len(keys) > 64:
            return self.rest("iterator", self.pair(container))
        pairs = zip(keys, [v for k, v in container.slots.items() if v and k != SIZE], strict=True)
        return self.container("iterator", [self.container("tuple", [key, value]) for key, value in pairs])

    def dict_keys(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        container = self.held(receiver)
        return UNKNOWN if container is None else self.rest("iterator", keys_of(container.slots))

    def dict_values(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        container = self.held(receiver)
        if container is None:
            return UNKNOWN
        values = [v for k, v in container.slots.items() if v and k != SIZE]
        return (
            self.rest("iterator", join_all(values)) if REST in container.slots else self.container("iterator", values)
        )

    # set

    def set_add(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        if (container := self.held(receiver)) is not None:
            self.hashed(argument(args, 0), container, frame, site)
            self.push(container, argument(args, 0))
        return NONE

    def set_union(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        container = self.held(receiver)
        others = [self.iterate(value, frame, site) for value in args.positional]
        return self.rest("set", join_all([*(container.elements() if container else ()), *others]))

    set_difference = set_intersection = set_symmetric_difference = set_union

    # str

    def str_join(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        self.iterate(argument(args, 0), frame, site)
        return made("str")

    def str_format(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        for value in (*args.positional, *(value for _, value in args.named)):
            self.as_text(value, frame, site, "__format__")
        return made("str")

    def str_split(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        return self.rest("list", made("str"))

    str_splitlines = str_rsplit = str_split

    def str_partition(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        return self.container("tuple", [made("str")] * 3)

    str_rpartition = str_partition

    # generators and tasks

    def generator___next__(self, receiver: Generator, args: Args, frame: Frame, site: Place) -> Value:
        self.force(receiver)
        return receiver.yields

    def generator_send(self, receiver: Generator, args: Args, frame: Frame, site: Place) -> Value:
        receiver.sent = join(receiver.sent, argument(args, 0))
        receiver.started = receiver.started and argument(args, 0) <= NONE
        self.force(receiver)
        return receiver.yields

    generator___anext__ = generator_asend = generator___iter__ = generator_throw = generator___next__

    def generator_close(self, receiver: Generator, args: Args, frame: Frame, site: Place) -> Value:
        self.force(receiver)
        return NONE

    def pool_submit(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        rest = args._replace(positional=args.positional[1:])
        return one(Task("future", self.call(argument(args, 0), rest, frame, site, "callback")))

    def pool_map(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        elements = [self.iterate(value, frame, site) for value in args.positional[1:]]
        return self.rest("iterator", self.call(argument(args, 0), Args(tuple(elements)), frame, site, "callback"))

    pool_imap = pool_starmap = pool_imap_unordered = pool_map

    def pool_apply_async(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        inner = self.items(argument(args, 1, "args")) or []
        return one(Task("future", self.call(argument(args, 0), Args(tuple(inner)), frame, site, "callback")))

    def any_result(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        return receiver.value if isinstance(receiver, Task) else UNKNOWN

    def any_add_done_callback(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        self.call(argument(args, 0), Args((one(receiver),)), frame, site, "callback")
        return NONE

    # properties, functions, objects

    def property_setter(self, receiver: Wrapped, args: Args, frame: Frame, site: Place) -> Value:
        return one(Wrapped("property", receiver.get, argument(args, 0), receiver.delete))

    def property_deleter(self, receiver: Wrapped, args: Args, frame: Frame, site: Place) -> Value:
        return one(Wrapped("property", receiver.get, receiver.set, argument(args, 0)))

    def property_getter(self, receiver: Wrapped, args: Args, frame: Frame, site: Place) -> Value:
        return one(Wrapped("property", argument(args, 0), receiver.set, receiver.delete))

    def any___call__(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        can = isinstance(receiver, Bound | Class | Function | Partial | Wrapped)
        return self.call(one(receiver), args, frame, site) if can else UNKNOWN

    def any___iter__(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        return one(receiver)

    def any___getitem__(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        container = self.held(receiver)
        return UNKNOWN if container is None else self.element(container, argument(args, 0), frame, site)

    def any___setitem__(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        container = self.held(receiver)
        if container is not None:
            self.write_item(container, argument(args, 0), argument(args, 1), True)
        return NONE

    def any___next__(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        return self.next_of(receiver, frame, site)

    def object___new__(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        of = argument(args, 0)
        made_by = [one(Instance(atom)) for atom in in_order(of) if isinstance(atom, Class)]
        if self.is_type(receiver) and len(args.positional) >= 3:
            return self.class_from(receiver, args, frame, site)
        return join_all(made_by) or unknown("made by object.__new__")

    def type___call__(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        return self.construct(receiver, args, frame, site) if isinstance(receiver, Class) else UNKNOWN

    def is_type(self, receiver: Any) -> bool:
        return isinstance(receiver, Class) and any(getattr(b, "name", "") == "type" for b in receiver.order)

    def class_from(self, meta: Any, args: Args, frame: Frame, site: Place) -> Value:
        raise NotImplementedError

    def object___setattr__(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        parts = args.positional if len(args.positional) == 2 else args.positional[1:]
        to = one(receiver) if len(args.positional) == 2 else argument(args, 0)
        names = [a.value for a in parts[0] if isinstance(a, Known) and a.kind == "str"] if len(parts) == 2 else []
        for atom in in_order(to):
            if isinstance(atom, Instance):
                for name in names:
                    self.store(atom.cells, name, parts[1])
                    self.add(atom.of.ever, name, parts[1])
        return NONE

    def object___getattribute__(self, receiver: Any, args: Args, frame: Frame, site: Place) -> Value:
        names = [a.value for a in argument(args, 0) if isinstance(a, Known) and a.kind == "str"]
        if not isinstance(receiver, Instance) or len(names) != 1:
            return unknown("an attribute of a computed name")
        if own := receiver.cells.get(names[0]):
            return own
        found = self.lookup(receiver.of, names[0])
        return self.bind(found[1], receiver, frame, site) if found else EMPTY

    def any_result_of_external(self, name: str) -> Value:
        return one(External(name, made=True))


UNSEEN = frozenset(
    ("property", "any", "function", "dispatch", "thread", "stack", "future", "executor", "context", "generator")
)
"""Kinds of receivers that are no built-in types: their methods are not in the graph as such."""
OF_TYPE: dict[str, type] = {
    "property": Wrapped, "generator": Generator, "dispatch": Task, "thread": Task, "stack": Task, "future": Task,
}  # fmt: skip
FAMILY = {
    "dict": "dict", "OrderedDict": "dict", "Counter": "dict", "set": "set", "frozenset": "set", "deque": "list",
    "tuple": "list", "iterator": "list", "bytes": "str", "executor": "pool", "pool": "pool",
}  # fmt: skip
__all__ = ["Natives", "Partial", "argument"]
