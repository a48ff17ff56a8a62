"""What terms can turn out to be, and what is known of the world outside of the tree."""

from typing import NamedTuple

Values = tuple["Value", ...]


class Entity(NamedTuple):
    """Something that has a name: a function, class, variable, attribute. With an empty qualname the module itself.

    What is outside of the tree has an empty path and its dotted name: `os.path.join`, `builtins.print`.
    """

    path: str
    qualname: str


class Value(NamedTuple):
    """`kind` is module, class, function, instance, super, outside (nobody knows what) or none.

    `path` and `name` are those of an Entity. `args` are what a container holds: of a dict its keys and its values.
    """

    kind: str
    path: str
    name: str
    args: tuple[Values, ...] = ()


NONE = Value("none", "", "None")

_containers = {
    "List": "list", "Sequence": "list", "MutableSequence": "list", "Iterable": "list", "Iterator": "list",
    "Collection": "list", "Container": "list", "Reversible": "list", "Deque": "list", "deque": "list",
    "AsyncIterator": "list", "AsyncIterable": "list", "Generator": "list", "AsyncGenerator": "list",
    "KeysView": "list", "ValuesView": "list", "Set": "set", "AbstractSet": "set", "MutableSet": "set",
    "FrozenSet": "set", "frozenset": "set", "Tuple": "tuple", "Dict": "dict", "Mapping": "dict",
    "MutableMapping": "dict", "DefaultDict": "dict", "defaultdict": "dict", "OrderedDict": "dict",
    "list": "list", "set": "set", "tuple": "tuple", "dict": "dict", "generator": "list",
}  # fmt: skip
BUILTIN_CLASSES = frozenset(
    ["bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "memoryview", "object",
     "property", "range", "set", "slice", "str", "tuple"]
)  # fmt: skip
SAME = frozenset(["copy.copy", "copy.deepcopy", "weakref.proxy", "dataclasses.replace", "typing.cast"])
"""Functions that give back what is like their first argument."""
ELEMENTS = frozenset(["sorted", "list", "set", "frozenset", "tuple", "reversed", "iter", "filter"])
"""Builtins that give a container of what their argument holds."""
LIKE_SELF = frozenset(["_replace", "_make", "with_traceback"])
"""Methods of builtin classes that give back another one of whatever class below they are called on."""
ONE_OF = frozenset(["next", "max", "min"])
BARE = frozenset(
    ["builtins.object", "abc.ABC", "typing.Generic", "typing.Protocol", "typing_extensions.Protocol",
     "typing_extensions.Generic"]
)  # fmt: skip
"""Base classes without members that anybody asks for: what is not found in front of them is not theirs."""
PROPERTIES = frozenset(
    ["property", "cached_property", "abstractproperty", "classproperty", "getter", "setter", "deleter"]
)
MANAGERS = frozenset(["contextmanager", "asynccontextmanager"])


def container(name: str) -> str:
    """`list` for `typing.Sequence` and its kind; empty for what is no container."""
    return _containers.get(name.rpartition(".")[2], "")


def builtin(name: str, *args: Values) -> Value:
    return Value("instance", "", f"builtins.{name}", args)


def unique(values: list[Value]) -> Values:
    """Each once, in order; where there are too many, nobody knows."""
    kept = tuple(dict.fromkeys(values))
    return kept[:12]
