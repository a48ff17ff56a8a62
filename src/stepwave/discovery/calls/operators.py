"""What the language calls without being asked: iteration, subscripts, operators, truth; and elements of containers."""

from typing import Any

from stepwave.discovery.calls.attributes import Attributes
from stepwave.discovery.calls.core import Place, unknown
from stepwave.discovery.calls.heap import Frame
from stepwave.discovery.calls.values import (
    BOOL,
    EMPTY,
    REST,
    SIZE,
    TRUE,
    UNKNOWN,
    Args,
    Builtin,
    Class,
    Container,
    External,
    Function,
    Generator,
    Instance,
    Known,
    Made,
    Task,
    Unknown,
    Value,
    in_order,
    join,
    join_all,
    known,
    made,
    one,
)

MIRRORED = {"lt": "gt", "gt": "lt", "le": "ge", "ge": "le", "eq": "eq", "ne": "ne"}
ITEMS = "*items*"
"""The cell of an instance whose class extends list, dict, set or tuple: what it holds as such."""
NOT_IMPLEMENTED = one(Builtin("NotImplemented"))


def key_of(value: Value) -> Any:  # noqa: PLR0911 - a line for each kind
    """The one key that a value is, or None when it may be several."""
    if len(value) != 1:
        return None
    (atom,) = value
    match atom:
        case Known():
            return atom.value if atom.value is not None else "*none*"
        case Class() | Function() | Builtin():
            return atom
        case External(_, False):
            return atom
        case Instance(single=True):
            return atom
        case Container(kind="tuple") if atom.size is not None:
            parts = tuple(key_of(atom.slots.get(i, EMPTY)) for i in range(atom.size))
            return None if None in parts else parts
    return None


def value_of(key: Any) -> Value:
    if key.__class__ is tuple:
        return one(Container("tuple", {i: value_of(part) for i, part in enumerate(key)}, len(key)))
    return known(key if key != "*none*" else None) if isinstance(key, str | int) else one(key)


def keys_of(slots: dict[Any, Value]) -> Value:
    keys = join_all(value_of(key) for key, value in slots.items() if key not in (REST, SIZE) and value)
    return join(keys, UNKNOWN) if REST in slots else keys


class Operators(Attributes):
    """Containers and the dunders behind the syntax."""

    def container(self, kind: str, values: list[Value]) -> Value:
        return one(Container(kind, dict(enumerate(values)), len(values)))

    def rest(self, kind: str, value: Value) -> Value:
        """A container of which only the sort of its elements is known."""
        return one(Container(kind, {REST: value}))

    def held(self, atom: Any) -> Container | None:
        """The container that an atom is, or, for an instance of a subclass of one, has."""
        if isinstance(atom, Container):
            return atom
        if not isinstance(atom, Instance):
            return None
        for base in atom.of.order:
            name = base.name.rpartition(".")[2] if isinstance(base, Builtin | External) else ""
            kind = {"OrderedDict": "dict", "defaultdict": "dict", "UserDict": "dict", "UserList": "list"}.get(
                name, name
            )
            if kind in ("list", "dict", "set", "tuple"):
                return self.held_items(atom, kind)
        return None

    def held_items(self, atom: Instance, kind: str) -> Container:
        if ITEMS not in atom.cells:
            self.store(atom.cells, ITEMS, one(Container(kind, {}, 0 if kind == "list" else None)))
        return next(iter(atom.cells[ITEMS]))  # type: ignore[no-any-return]

    # iteration

    def iterate(self, value: Value, frame: Frame, site: Place) -> Value:
        """What a loop over a value binds; the dunders of iteration are called."""
        return join_all(self.iterated(atom, frame, site) for atom in in_order(value))

    def iterated(self, atom: Any, frame: Frame, site: Place) -> Value:  # noqa: PLR0911 - a line for each kind
        match atom:
            case Generator():
                self.force(atom)
                return atom.yields
            case Known(_, "str") | Made("str"):
                return made("str")
            case Made("bytes" | "range"):
                return made("int")
            case Task(_, value):
                return value
            case Unknown() | External():
                return UNKNOWN
        if (made_by := self.special(atom, "__iter__", Args(), frame, site)) is not None:
            return join_all(self.next_of(inner, frame, site) for inner in in_order(made_by))
        if (container := self.held(atom)) is not None:
            return keys_of(container.slots) if container.kind == "dict" else join_all(container.elements())
        if (element := self.special(atom, "__getitem__", Args((made("int"),)), frame, site)) is not None:
            return element
        if isinstance(atom, Class) and "enum" in atom.tags:
            return join_all(v for v in atom.cells.values() if any(isinstance(a, Instance) and a.of is atom for a in v))
        return UNKNOWN if isinstance(atom, Instance) else EMPTY

    def next_of(self, atom: Any, frame: Frame, site: Place) -> Value:
        """What `next` gives of an iterator."""
        if isinstance(atom, Instance):
            found = self.special(atom, "__next__", Args(), frame, site)
            return UNKNOWN if found is None else found
        return self.iterated(atom, frame, site)

    def items(self, value: Value) -> list[Value] | None:
        """The elements one by one, where a value is one sequence of known length."""
        if len(value) != 1:
            return None
        (atom,) = value
        if not isinstance(atom, Container) or atom.kind == "set":
            return None
        if atom.kind == "dict":
            return None if REST in atom.slots else [value_of(k) for k, v in atom.slots.items() if v and k != SIZE]
        size = atom.size
        if size is None or size > 64 or REST in atom.slots:
            return None
        return [atom.slots.get(i, EMPTY) for i in range(size)]

    def unpack(self, value: Value, count: int, star: int | None, frame: Frame, site: Place) -> list[Value]:
        """One value per target; `star` is the target that takes the rest."""
        items = self.items(value)
        if items is None or (len(items) != count if star is None else len(items) < count - 1):
            every = self.iterate(value, frame, site)
            return [self.rest("list", every) if i == star else every for i in range(count)]
        if star is None:
            return items
        behind = count - star - 1
        middle = items[star : len(items) - behind]
        return [*items[:star], self.container("list", middle), *items[len(items) - behind :]]

    # subscripts

    def subscript(self, value: Value, key: Value, frame: Frame, site: Place) -> Value:
        return join_all(self.item_of(atom, key, frame, site) for atom in in_order(value))

    def item_of(self, atom: Any, key: Value, frame: Frame, site: Place) -> Value:  # noqa: PLR0911 - a line for each kind
        if (found := self.special(atom, "__getitem__", Args((key,)), frame, site)) is not None:
            return found
        if (container := self.held(atom)) is not None:
            self.hashed(key, container, frame, site)
            found = self.element(container, key, frame, site)
            if not found and isinstance(atom, Instance):
                return self.special(atom, "__missing__", Args((key,)), frame, site) or EMPTY
            return found
        match atom:
            case Class():
                if special := self.lookup(atom, "__class_getitem__"):
                    getter = self.bind(special[1], atom, frame, site)
                    return self.call(getter, Args((key,)), frame, site, "dunder")
                return self.enum_member(atom, key) or one(atom)
            case Builtin() | External(_, False):
                return one(atom)
            case Known(_, "str") | Made("str"):
                return made("str")
            case Made("bytes"):
                return made("int")
            case Task("match", inner):
                return inner
        return unknown("element of what is not known")

    def enum_member(self, of: Class, key: Value) -> Value:
        name = key_of(key)
        return of.cells.get(name, EMPTY) if "enum" in of.tags and isinstance(name, str) else EMPTY

    def element(self, container: Container, key: Value, frame: Frame, site: Place) -> Value:
        wanted = key_of(key)
        slots, size = container.slots, container.size
        if wanted is None:
            found = join_all(container.elements())
        else:
            if isinstance(wanted, int) and wanted < 0 and container.kind != "dict" and size is not None:
                wanted += size
            found = slots.get(wanted, EMPTY)
            if not found and isinstance(wanted, int) and size is None and container.kind != "dict":
                found = join_all(container.elements())
            found = join(found, slots.get(REST, EMPTY))
        if container.default and (wanted is None or not slots.get(wanted)):
            fresh = self.call(container.default, Args(), frame, site, "callback")
            if not found or wanted is None:
                self.write_item(container, key, fresh, True)
            return join(found, fresh)
        return found

    def set_subscript(self, value: Value, key: Value, new: Value, frame: Frame, site: Place) -> None:
        alone = len(value) == 1
        for atom in in_order(value):
            if self.special(atom, "__setitem__", Args((key, new)), frame, site) is None:
                container = self.held(atom)
                if container is not None:
                    self.hashed(key, container, frame, site)
                    self.write_item(container, key, new, alone)

    def write_item(self, container: Container, key: Value, new: Value, alone: bool) -> None:
        wanted = key_of(key)
        if isinstance(wanted, int) and wanted < 0 and container.kind != "dict" and container.size is not None:
            wanted += container.size
        if wanted is None:
            self.add(container.slots, REST, new)
        elif alone:
            self.store(container.slots, wanted, new)
        else:
            self.add(container.slots, wanted, new)

    def delete_item(self, value: Value, key: Value, frame: Frame, site: Place) -> None:
        for atom in in_order(value):
            container = self.held(atom)
            if self.special(atom, "__delitem__", Args((key,)), frame, site) is None and container is not None:
                wanted = key_of(key)
                if container.kind == "list":
                    self.take(container, wanted)
                elif wanted is not None and wanted in container.slots:
                    self.store(container.slots, wanted, EMPTY)

    def take(self, container: Container, index: Any) -> Value:
        """Remove an element of a list and give it."""
        size, slots = container.size, container.slots
        every = join_all(container.elements())
        if size is None or REST in slots or not isinstance(index, int) or not -size <= index < size:
            self.store(slots, REST, every)
            self.store(slots, SIZE, EMPTY)
            return every
        index %= size
        gone = slots.get(index, EMPTY)
        for i in range(index, size - 1):
            self.store(slots, i, slots.get(i + 1, EMPTY))
        self.store(slots, size - 1, EMPTY)
        self.store(slots, SIZE, known(size - 1))
        return gone

    def push(self, container: Container, new: Value) -> None:
        """Add an element to a list or set."""
        size = container.size
        if size is None or container.kind != "list" or size > 64:
            self.add(container.slots, REST, new)
            if size is not None:
                self.store(container.slots, SIZE, EMPTY)
        else:
            self.store(container.slots, size, new)
            self.store(container.slots, SIZE, known(size + 1))

    def hashed(self, key: Value, container: Container, frame: Frame, site: Place) -> None:
        if container.kind in ("dict", "set"):
            for atom in in_order(key):
                if isinstance(atom, Instance):
                    self.special(atom, "__hash__", Args(), frame, site)

    # operators

    def binary(self, name: str, left: Value, right: Value, frame: Frame, site: Place, assign: bool = False) -> Value:
        result, plain = EMPTY, False
        for atom in in_order(left):
            found = self.special(atom, f"__i{name}__", Args((right,)), frame, site) if assign else None
            if found is None:
                found = self.special(atom, f"__{name}__", Args((right,)), frame, site)
            if found is None or found == NOT_IMPLEMENTED:
                plain = True
            result = join(result, found or EMPTY)
        if plain or not left:
            for atom in in_order(right):
                found = self.special(atom, f"__r{name}__", Args((left,)), frame, site)
                result = join(result, found or EMPTY)
        result -= NOT_IMPLEMENTED
        return result or self.plain_binary(name, left, right, assign)

    def plain_binary(self, name: str, left: Value, right: Value, assign: bool) -> Value:
        if len(left) == 1 and len(right) == 1:
            (a,), (b,) = left, right
            if isinstance(a, Known) and isinstance(b, Known) and a.kind == b.kind and a.kind in ("int", "str"):
                folded = self.fold(name, a.value, b.value)
                if folded is not None:
                    return known(folded)
            if isinstance(a, Container) and isinstance(b, Container) and name in ("add", "or"):
                return self.concatenated(a, b, assign)
        kinds = {getattr(atom, "kind", "") for atom in left if isinstance(atom, Known | Made)}
        containers = [atom for atom in left if isinstance(atom, Container)]
        if containers:
            return self.rest(containers[0].kind, join_all(v for c in containers for v in c.elements()))
        if len(kinds) == 1 and len(kinds) == len(left) and name in ("add", "mod", "mul", "sub"):
            return made(kinds.pop())
        return unknown("result of an operator")

    def fold(self, name: str, a: Any, b: Any) -> Any:
        if name == "add" and (isinstance(a, int) or len(a) + len(b) < 200):
            return a + b
        if isinstance(a, int) and name in ("sub", "mul") and abs(a) < 1 << 20 and abs(b) < 1 << 20:
            return a - b if name == "sub" else a * b
        return None

    def concatenated(self, a: Container, b: Container, assign: bool) -> Value:
        first, second = self.items(one(a)), self.items(one(b))
        if a.kind == "dict":
            merged = Container("dict", {**a.slots, **b.slots})
            if assign:
                for key, value in b.slots.items():
                    self.store(a.slots, key, value)
            return one(a) if assign else one(merged)
        if first is None or second is None or len(first) + len(second) > 64:
            return self.rest(a.kind, join_all([*a.elements(), *b.elements()]))
        if assign and a.kind == "list":
            for value in second:
                self.push(a, value)
            return one(a)
        return self.container(a.kind, [*first, *second])

    def compare(self, name: str, left: Value, right: Value, frame: Frame, site: Place) -> Value:
        if name in ("is", "is not"):
            return BOOL
        if name in ("in", "not in"):
            self.contains(right, left, frame, site)
            return BOOL
        for a, b in ((left, right), (right, left)):
            for atom in in_order(a):
                found = self.special(atom, f"__{name if a is left else MIRRORED[name]}__", Args((b,)), frame, site)
                if found is None and name == "ne":
                    found = self.special(atom, "__eq__", Args((b,)), frame, site)
                if found is not None and found != NOT_IMPLEMENTED:
                    return found - NOT_IMPLEMENTED
        return BOOL

    def contains(self, value: Value, item: Value, frame: Frame, site: Place) -> None:
        for atom in in_order(value):
            if isinstance(atom, Instance | Class):
                if self.special(atom, "__contains__", Args((item,)), frame, site) is None and isinstance(
                    atom, Instance
                ):
                    self.iterated(atom, frame, site)
            elif isinstance(atom, Container):
                self.hashed(item, atom, frame, site)
                if atom.kind in ("list", "tuple"):
                    self.compare("eq", join_all(atom.elements()), item, frame, site)
            elif isinstance(atom, Generator):
                self.force(atom)

    def truth(self, value: Value, frame: Frame, site: Place) -> None:
        """Whether something is true may be asked of it."""
        for atom in in_order(value):
            if isinstance(atom, Instance) and self.special(atom, "__bool__", Args(), frame, site) is None:
                self.special(atom, "__len__", Args(), frame, site)

    def as_text(self, value: Value, frame: Frame, site: Place, first: str = "__str__", deep: int = 0) -> Value:
        """`str`, `repr` and `format` of a value."""
        for atom in in_order(value):
            if isinstance(atom, Container) and atom.kind != "iterator":
                if deep < 3:  # a container may hold itself
                    self.as_text(join_all(atom.elements()), frame, site, "__repr__", deep + 1)
            elif isinstance(atom, Instance):
                self.text_of(atom, frame, site, first)
        if first != "__repr__" and len(value) == 1:
            (only,) = value
            if isinstance(only, Known) and only.kind in ("str", "int"):
                return known(str(only.value))
        return made("str")

    def text_of(self, atom: Instance, frame: Frame, site: Place, first: str) -> None:
        args = Args((made("str"),)) if first == "__format__" else Args()
        if self.special(atom, first, args, frame, site) is not None or first == "__repr__":
            return
        if first == "__format__" and self.special(atom, "__str__", Args(), frame, site) is not None:
            return
        if not any(isinstance(base, Builtin) and base.name.endswith(("Error", "Exception")) for base in atom.of.order):
            self.special(atom, "__repr__", Args(), frame, site)

    def wait_for(self, value: Value, frame: Frame, site: Place) -> Value:
        """What `await` gives."""
        result = EMPTY
        for atom in in_order(value):
            match atom:
                case Generator(is_coroutine=True):
                    self.force(atom)
                    result = join(result, atom.result)
                case Task(_, inner):
                    result = join(result, inner)
                case Instance():
                    made_by = self.special(atom, "__await__", Args(), frame, site)
                    for inner in in_order(made_by or EMPTY):
                        if isinstance(inner, Generator):
                            self.force(inner)
                            result = join(result, inner.result)
                case _:
                    result = join(result, UNKNOWN)
        return result


__all__ = ["ITEMS", "TRUE", "Operators", "key_of", "keys_of", "value_of"]
