"""What an expression can be worth to a call: a small set of atoms. The empty set is no value at all (never reached).

Atoms that hold state (a container, an instance, a module, a function with its closure) are equal to themselves only;
the others are named tuples.
"""

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any, NamedTuple

Fact = tuple[Any, ...]
Cells = dict[Any, frozenset[Any]]
Value = frozenset[Any]


class Mark(NamedTuple):
    """A cell that no key of a program can be."""

    mark: str


REST = Mark("rest")
"""The cell of a container that stands for every element whose key is not known."""
serials = count()
"""Numbers the atoms that hold state, so that they have an order which is the same in every run."""
SIZE = Mark("size")
"""The cell of a container that holds how many elements it has, while that is known."""
LIMIT = 24
KEPT = 16
"""A value of more atoms is widened: what exceeds it becomes one atom of its kind, or ANY."""


class Unknown(NamedTuple):
    """Anything at all; `why` is told when it is called."""

    why: str


class Known(NamedTuple):
    """A constant: an int, a bool, a str or None. `kind` keeps True and 1 apart."""

    value: Any
    kind: str


class Made(NamedTuple):
    """Some value of a built-in type: `Made("str")`."""

    kind: str


class External(NamedTuple):
    """What lies outside of the tree that is read, by the name one would write: `os.path.join`.

    The result of calling it bears its name too: `ext.Thing().run()` calls `ext.Thing.run`.
    """

    name: str
    made: bool = False


class Builtin(NamedTuple):
    """A name of the `builtins` module."""

    name: str


class Native(NamedTuple):
    """A method of a built-in value: `list.append` of that list."""

    name: str
    receiver: Any


class Bound(NamedTuple):
    """A function with its first argument."""

    function: Any
    receiver: Any


class Super(NamedTuple):
    """`super()`: the classes after `after` in the order of `receiver`'s class."""

    after: Any
    receiver: Any


class Args(NamedTuple):
    """The arguments of a call. `more` and `more_named` are what stars bring that has no known place."""

    positional: tuple[Value, ...] = ()
    named: tuple[tuple[str, Value], ...] = ()
    more: Value | None = None
    more_named: Value | None = None


class Code:
    """A scope of the source: its facts, its full name, and what is remembered of its runs."""

    __slots__ = (
        "answers",
        "facts",
        "kind",
        "lambdas",
        "module",
        "name",
        "owner",
        "raised",
        "running",
        "runs",
        "seen",
        "serials",
        "shapes",
        "skipped",
        "spent",
        "yielded",
    )

    def __init__(self, name: str, facts: Fact, module: "Module") -> None:
        self.name = name
        self.facts = facts
        self.kind: str = facts[1]
        self.module = module
        self.lambdas: dict[int, str] = {}
        self.runs = 0
        self.running = 0
        self.answers: dict[Any, tuple[int, Value]] = {}  # arguments -> (epoch of the heap, what came back)
        self.seen: Value = frozenset()  # what all runs together have returned
        self.yielded: Value = frozenset()
        self.raised: Value = frozenset()  # the exceptions that have been seen to leave it
        self.spent = 0  # statements that its runs have taken, with all that they called
        self.serials: set[int] = set()  # the function objects that have been run
        self.skipped: Cells | None = None  # arguments of calls that were answered without a run
        self.shapes: list[Value] = []  # per parameter, what of interest has been passed


class Function:
    """A function object: code with the frames around it, and what it takes when an argument is missing."""

    __slots__ = ("cells", "code", "defaults", "named_defaults", "owner", "returns", "scopes", "serial")

    def __init__(self, code: Code, scopes: tuple[Cells, ...]) -> None:
        self.serial = next(serials)
        self.code = code
        self.scopes = scopes  # innermost first, without the module's
        self.defaults: tuple[Value, ...] = ()
        self.named_defaults: tuple[Value | None, ...] = ()
        self.owner: Class | None = None
        self.returns: tuple[str, ...] = ()
        self.cells: Cells = {}

    def __repr__(self) -> str:
        return f"<{self.code.name}>"


class Class:
    """A class of the tree. `order` is its C3 order; what is no class of the tree stands in it as it is."""

    __slots__ = (
        "bases",
        "cells",
        "code",
        "ever",
        "fields",
        "generic",
        "hints",
        "made",
        "meta",
        "name",
        "order",
        "serial",
        "tags",
    )

    def __init__(self, name: str, code: Code | None) -> None:
        self.serial = next(serials)
        self.name = name
        self.code = code
        self.bases: tuple[Any, ...] = ()
        self.order: tuple[Any, ...] = (self,)
        self.cells: Cells = {}
        self.ever: Cells = {}  # whatever any instance was ever given
        self.generic: Instance | None = None
        self.meta: Any = None
        self.tags: set[str] = set()
        self.fields: list[str] = []
        self.hints: dict[str, tuple[str, ...]] = {}
        self.made = 0

    def __repr__(self) -> str:
        return f"<class {self.name}>"


class Instance:
    """An object of a class of the tree. `single` while it stands for one object: then a write replaces."""

    __slots__ = ("cells", "of", "serial", "single")

    def __init__(self, of: Class, single: bool = True) -> None:
        self.serial = next(serials)
        self.of = of
        self.single = single
        self.cells: Cells = {}


class Container:
    """A list, tuple, dict, set or iterator: `slots` by key or index, REST, and SIZE."""

    __slots__ = ("default", "kind", "serial", "slots")

    def __init__(self, kind: str, slots: Cells, size: int | None = None) -> None:
        self.serial = next(serials)
        self.kind = kind
        self.slots = slots
        if size is not None:
            slots[SIZE] = known(size)
        self.default: Value = frozenset()

    @property
    def size(self) -> int | None:
        value = self.slots.get(SIZE)
        return next(iter(value)).value if value and len(value) == 1 else None

    def elements(self) -> list[Value]:
        """What is known of the elements (the keys of a dict are its slots), in order."""
        return [value for key, value in self.slots.items() if key != SIZE]


class Module:
    """A module of the tree, by its path; `state` goes from new over running to done."""

    __slots__ = ("cells", "code", "name", "path", "state")

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self.path = path
        self.cells: Cells = {}
        self.code: Code | None = None
        self.state = "new"


class Partial:
    """`functools.partial`, and whatever else calls something with arguments put first."""

    __slots__ = ("args", "function", "serial")

    def __init__(self, function: Value, args: Args) -> None:
        self.serial = next(serials)
        self.function = function
        self.args = args


class Wrapped:
    """A descriptor: property, staticmethod, classmethod, cached_property, with the functions in it."""

    __slots__ = ("delete", "get", "kind", "serial", "set")

    def __init__(self, kind: str, get: Value, put: Value = frozenset(), delete: Value = frozenset()) -> None:
        self.serial = next(serials)
        self.kind = kind
        self.get = get
        self.set = put
        self.delete = delete


class Generator:
    """A generator or coroutine: its body runs when it is first asked for something."""

    __slots__ = ("body", "is_coroutine", "result", "sent", "serial", "started", "yields")

    def __init__(self, body: Any, is_coroutine: bool) -> None:
        self.serial = next(serials)
        self.body = body
        self.is_coroutine = is_coroutine
        self.started = False
        self.yields: Value = EMPTY
        self.sent: Value = EMPTY
        self.result: Value = EMPTY


class Task(NamedTuple):
    """An object of a library that hands a value on: what awaiting it, entering it or asking for its result gives."""

    kind: str
    value: Value


EMPTY: Value = frozenset()
ANY = Unknown("its value is not known")
TOO_MANY = Unknown("it has more values than are followed")
UNKNOWN: Value = frozenset((ANY,))
NONE: Value = frozenset((Known(None, "NoneType"),))
TRUE: Value = frozenset((Known(True, "bool"),))
FALSE: Value = frozenset((Known(False, "bool"),))
BOOL: Value = frozenset((Made("bool"),))
_made: dict[str, Value] = {}
_ordered: dict[Value, list[Any]] = {}


def one(atom: Any) -> Value:
    return frozenset((atom,))


def made(kind: str) -> Value:
    """Some value of a built-in type."""
    if kind not in _made:
        _made[kind] = frozenset((Made(kind),))
    return _made[kind]


def known(value: Any) -> Value:
    return frozenset((Known(value, type(value).__name__),))


def join(a: Value, b: Value) -> Value:
    """What is a or b."""
    if a is b or not b:
        return a
    if not a:
        return b
    both = a | b
    return both if len(both) <= LIMIT else widened(both)


def join_all(values: Iterable[Value]) -> Value:
    result = EMPTY
    for value in values:
        result = join(result, value)
    return result


def widened(value: Value) -> Value:
    """A value of bounded size: constants by their type, functions by their code, instances by their class."""
    kept: dict[Any, Any] = {}
    for atom in sorted(value, key=_rank):
        kept.setdefault(_family(atom), atom)
    if len(kept) <= KEPT:
        return frozenset(kept.values())
    return frozenset([*list(kept.values())[:KEPT], TOO_MANY])


def _family(atom: Any) -> Any:  # noqa: PLR0911 - a line for each kind
    match atom:
        case Known(_, kind):
            return "made", kind
        case Made(kind):
            return "made", kind
        case Function():
            return atom.code
        case Instance():
            return atom.of
        case Container():
            return atom.kind
        case Bound(function, _):
            return "bound", _family(function)
        case Generator():
            return "generator"
        case Native(name, _):
            return name
    return atom


def _rank(atom: Any) -> tuple[str, str, int]:
    """An order that does not hang on addresses or hash seeds."""
    of = _ranks.get(atom.__class__)
    return of(atom) if of else ("z", atom.__class__.__name__, getattr(atom, "serial", 0))


_ranks: dict[type, Callable[[Any], tuple[str, str, int]]] = {
    Function: lambda a: ("f", a.code.name, a.serial),
    Class: lambda a: ("c", a.name, a.serial),
    Instance: lambda a: ("i", a.of.name, a.serial),
    Bound: lambda a: ("b", _rank(a.function)[1], _rank(a.function)[2] << 40 | _rank(a.receiver)[2]),
    Known: lambda a: ("k", f"{a.kind} {a.value}", 0),
    Made: lambda a: ("j", a.kind, 0),
    External: lambda a: ("x", a.name, int(a.made)),
    Builtin: lambda a: ("x", a.name, 0),
    Native: lambda a: ("y", a.name, getattr(a.receiver, "serial", 0)),
    Module: lambda a: ("m", a.path, 0),
    Unknown: lambda a: ("u", a.why, 0),
    Task: lambda a: ("t", a.kind, min((_rank(inner)[2] for inner in a.value), default=0)),
    Super: lambda a: ("s", getattr(a.after, "name", ""), _rank(a.receiver)[2]),
}


def in_order(value: Value) -> list[Any]:
    """The atoms in an order that is the same in every run."""
    if len(value) < 2:
        return list(value)
    found = _ordered.get(value)
    if found is None:
        if len(_ordered) > 20_000:
            _ordered.clear()
        found = _ordered[value] = sorted(value, key=_rank)
    return found


def forget_orders() -> None:
    """What is remembered of one interpretation would keep all of it in memory."""
    _ordered.clear()
