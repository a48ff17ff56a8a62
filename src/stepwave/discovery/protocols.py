"""What Python's protocols give: items, iteration, `with`, the methods of containers; and instances of types."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from stepwave.discovery.values import Value, builtin, container

if TYPE_CHECKING:
    from stepwave.discovery.infer import Inference

_TRANSPARENT = ("Optional", "Union", "Annotated", "Final", "ClassVar", "Required", "NotRequired")


def item(inference: "Inference", value: Value, index: int | None) -> Iterator[Value]:
    """What `value[index]` is; the index is None where it is no number that stands there."""
    kind = container(value.name) if not value.path else ""
    if value.kind == "instance" and value.path:
        for found in inference.attribute(value, "__getitem__"):
            if found.kind == "function":
                yield from inference.called(found, ())
    elif value.kind in ("class", "outside"):
        yield value  # `Base[T]` where it is no annotation
    elif kind == "tuple" and index is not None and -len(value.args) <= index < len(value.args):
        yield from value.args[index]
    elif kind == "dict":
        yield from value.args[1] if len(value.args) > 1 else ()
    elif kind and value.args:
        yield from value.args[0]


def iterated(inference: "Inference", value: Value) -> Iterator[Value]:
    """What `for … in value` gives."""
    if value.kind == "instance" and value.path:
        for method in ("__iter__", "__aiter__"):
            for found in inference.attribute(value, method):
                for iterator in inference.called(found, ()) if found.kind == "function" else ():
                    yield from _next(inference, iterator)
    elif value.kind == "class" and value.path:
        yield value._replace(kind="instance")  # the members of an enum
    elif value.kind == "instance" and container(value.name) == "tuple":
        for each in value.args:
            yield from each
    elif value.kind == "instance" and value.args:
        yield from value.args[0]


def _next(inference: "Inference", iterator: Value) -> Iterator[Value]:
    if not iterator.path:
        yield from iterated(inference, iterator)
        return
    for method in ("__next__", "__anext__"):
        for found in inference.attribute(iterator, method):
            if found.kind == "function":
                yield from inference.called(found, ())


def entered(inference: "Inference", value: Value) -> Iterator[Value]:
    """What `with value as …` gives."""
    if value.kind == "instance" and value.path:
        for method in ("__enter__", "__aenter__"):
            for found in inference.attribute(value, method):
                if found.kind == "function":
                    yield from inference.called(found, ())
    elif value.name.endswith("ContextManager"):
        yield from value.args[0] if value.args else ()
    elif value.kind == "instance":
        yield value


def instance_of(inference: "Inference", value: Value) -> Iterator[Value]:
    """An instance of what an annotation says."""
    short = value.name.rpartition(".")[2]
    if value.kind == "class":
        yield value._replace(kind="instance")
    elif value.kind == "none" or (value.kind == "instance" and value.args and not value.path):
        yield value
    elif value.kind != "outside" or short in ("Any", "TypeVar"):
        return
    elif short in ("Type", "type") and value.args:
        yield from (v._replace(kind="class") for v in value.args[0] if v.kind == "instance")
    elif short in _TRANSPARENT:
        parts = value.args[:1] if short == "Annotated" else value.args
        yield from (v for part in parts for v in part)
    else:
        yield _named(value)


def _named(value: Value) -> Value:
    kind = container(value.name)
    return builtin(kind, *value.args) if kind and value.args else value._replace(kind="instance")


def of_container(value: Value, name: str) -> Iterator[Value]:
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
