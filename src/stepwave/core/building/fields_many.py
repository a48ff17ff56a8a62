"""Reading lists and maps: environments, names, arguments, exit codes, units of resources."""

from collections.abc import Iterable
from typing import NamedTuple, cast

from stepwave.core.building.fields import (
    Found,
    Given,
    Reading,
    Template,
    choice,
    count,
    gather,
    is_missed,
    one,
    quoted,
    scalar_text,
    text,
    wrong_type,
)
from stepwave.core.model import Value
from stepwave.core.reading import keys
from stepwave.core.reading.document import Mapping, Node, Scalar, Sequence, Span, plain
from stepwave.core.text import one_line

Word = tuple[str, Span]
"""A text and where it stands."""

Env = dict[str, str | None]


def environment(r: Reading, given: Given, step: str = "") -> Env | None:
    """Values as written (`1.10`, `true`); null takes a name away."""
    if not isinstance(given.node, Mapping):
        wrong_type(r, given, "a mapping from names to values")
        return None
    env: Env = {}
    for name, node in given.node.entries.items():
        if not name or "=" in name or "\0" in name:
            r.error("bad-name", f"{quoted(name)} cannot name an environment variable", given.node.keys[name])
        elif isinstance(node, Scalar) and node.value is None:
            env[name] = None
        else:
            value = scalar_text(r, Given(f"{given.key}.{one_line(name, 40)}", node, given.node.keys[name]))
            if value is not None:
                env[name] = value
                template(r, step, value, node)
    return env


def template(r: Reading, step: str, value: str, node: Node, *, shell: bool = False) -> None:
    """Keeps a text for the check of its references, if it can have any."""
    if "{{" in value or (r.dollar and "${" in value):
        r.templates.append(Template(step, value, node, shell))


def nested(r: Reading, given: Given, step: str) -> dict[str, Value] | None:
    """A mapping from names to anything; its texts are kept for the check of their references."""
    if not isinstance(given.node, Mapping):
        wrong_type(r, given, "a mapping from names to values")
        return None
    rest: list[Node] = [given.node]
    while rest:
        node = rest.pop()
        if isinstance(node, Scalar):
            if isinstance(node.value, str):
                template(r, step, node.value, node)
        else:
            rest += node.items if isinstance(node, Sequence) else node.entries.values()
    return cast("dict[str, Value]", plain(given.node))


def words(r: Reading, given: Given) -> list[Word] | None:
    """One text, or a list of texts."""
    if isinstance(given.node, Scalar):
        value = text(r, given)
        return None if value is None else [(value, given.node.span)]
    if isinstance(given.node, Mapping):
        wrong_type(r, given, "text or a list of texts")
        return None
    found: list[Word] = []
    for node in given.node.items:
        value = text(r, Given(given.key, node, node.span))
        if value is not None:
            found.append((value, node.span))
    return found


def arguments(r: Reading, given: Given, step: str) -> tuple[str, ...] | None:
    """A list of texts, numbers and booleans, as they were written."""
    if not isinstance(given.node, Sequence):
        wrong_type(r, given, "a list")
        return None
    found: list[str] = []
    for node in given.node.items:
        value = scalar_text(r, Given(given.key, node, node.span))
        if value is not None:
            found.append(value)
            template(r, step, value, node)
    return tuple(found)


def exit_codes(r: Reading, given: Given) -> tuple[int, ...] | None:
    """Exit codes that count as success: 0 to 255, at least one."""
    nodes = given.node.items if isinstance(given.node, Sequence) else [given.node]
    codes: list[int] = []
    for node in nodes:
        if not isinstance(node, Scalar) or isinstance(node.value, bool) or not isinstance(node.value, int):
            wrong_type(r, Given(given.key, node, node.span), "a list of whole numbers")
        elif not 0 <= node.value <= 255:
            r.error("out-of-range", f"`{given.key}` must be from 0 to 255", node.span)
        else:
            codes.append(node.value)
    if not nodes:
        message = f"`{given.key}` is empty: the step could never succeed"
        r.error("too-few-items", message, given.node.span, "leave it out to allow 0 alone")
    return tuple(dict.fromkeys(codes)) if codes else None


class Pool(NamedTuple):
    """`is_shared`: with all runs on this machine."""

    units: int
    is_shared: bool = False


def pools(r: Reading, given: Given) -> dict[str, Pool] | None:
    """Named pools and their units, from 1: a number, or a mapping with `limit` and `scope`."""
    if not isinstance(given.node, Mapping):
        wrong_type(r, given, "a mapping from names to numbers")
        return None
    found = {name: Pool(units) for name, units, _ in _units(r, given, given.node, spared=Mapping)}
    for name, node in given.node.entries.items():
        if isinstance(node, Mapping) and not name.startswith(("_", "x-")):
            pool = _pool(r, Given(f"{given.key}.{one_line(name, 40)}", node, given.node.keys[name]), node)
            if pool is not None:
                found[name] = pool
    return found


_scopes = {"run": False, "host": True}


def is_host(r: Reading, given: Given) -> bool | None:
    """`scope`: whether something is shared by all runs on this machine."""
    return choice(r, given, _scopes)


def _pool(r: Reading, given: Given, mapping: Mapping) -> Pool | None:
    found: Found = {}
    gather(r, mapping, keys.pool, found, f"{given.key}.")
    if "limit" not in found:
        if is_missed(found, "limit"):
            r.error("missing-key", f"`{given.key}` needs a `limit`", given.span, "write `{limit: 1, scope: host}`")
        return None
    units = one(r, found, "limit", count)
    is_shared = one(r, found, "scope", is_host)
    return None if units is None else Pool(units, is_shared=bool(is_shared))


def claims(r: Reading, given: Given) -> list[tuple[str, int, Span]] | None:
    """What a step takes of pools: a name, a list of names, or a mapping from names to units."""
    if isinstance(given.node, Mapping):
        return list(_units(r, given, given.node))
    names = words(r, given)
    return None if names is None else [(name, 1, span) for name, span in names]


def _units(
    r: Reading, given: Given, mapping: Mapping, spared: type[Node] | None = None
) -> Iterable[tuple[str, int, Span]]:
    """`spared`: nodes of this type are not looked at."""
    for name, node in mapping.entries.items():
        if not name.startswith(("_", "x-")) and not (spared and isinstance(node, spared)):
            units = count(r, Given(f"{given.key}.{one_line(name, 40)}", node, mapping.keys[name]))
            if units is not None:
                yield name, units, node.span
