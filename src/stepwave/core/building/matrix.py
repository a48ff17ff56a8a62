"""`matrix` and `forEach`: one step in the file, many in the run. Each gets an id of its own (`build[os=linux,py=3.12]`)
and names that stand for something in it alone (`matrix`, `item`, `index`).

Rule 1  Nothing is made before it is known to be of bearable size.
Rule 2  A list that only a step will bring makes one step, of type FAN_OUT: the run makes the others.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from math import prod
from typing import NamedTuple, cast

from stepwave.core.building.fields import Found, Given, Reading, conflict, is_null, quoted, resolved, wrong_type
from stepwave.core.building.fields_many import template
from stepwave.core.building.labels import MAX_LABEL, item_labels, label_of
from stepwave.core.building.step import Draft, Ties, build_step, untied
from stepwave.core.diagnostics import Place
from stepwave.core.language.scope import ExpressionError, Unresolved, has_reference
from stepwave.core.language.scoped import step_in
from stepwave.core.language.values import text_of
from stepwave.core.model import Step, Value
from stepwave.core.reading import document as tree
from stepwave.core.reading.document import Node, Scalar, Span, plain

MAX_COMBINATIONS = 10_000
"""Steps that one `matrix` or `forEach` may become, and all those of a workflow together ten times that."""
MAX_ENTRIES = 1_000
"""Entries of `include` and of `exclude`."""

Combination = dict[str, Value]


class Room:
    """How many steps may still be made."""

    def __init__(self) -> None:
        self.left = 10 * MAX_COMBINATIONS
        self._is_full = False

    def take(self, r: Reading, count: int, what: str, span: Span) -> bool:
        """Whether there is room for so many; told when there is none."""
        if count <= MAX_COMBINATIONS and count <= self.left:
            self.left -= count
            return True
        many = f"{count:,}" if count < 10**15 else "more than 10^15"
        message = f"{what} would become {many} steps, and {MAX_COMBINATIONS:,} are allowed"
        if count <= MAX_COMBINATIONS:
            message = f"with {what} there would be more than {10 * MAX_COMBINATIONS:,} steps of a matrix or `forEach`"
        if count > MAX_COMBINATIONS or not self._is_full:
            r.error("too-many-combinations", message, span, "go through them in the command of one step")
        self._is_full = self._is_full or count <= MAX_COMBINATIONS
        return False


# --- one draft becomes many ------------------------------------------------------------------------------------------


def expand(draft: Draft, known: Mapping[str, object], room: Room) -> list[Draft]:
    """The steps that one becomes. `known` has the ids of all steps as they are in the file."""
    r, found = draft.r, draft.found
    matrix, each = found.get("matrix"), found.get("forEach")
    if matrix and each:
        message = f"step {quoted(draft.id)} has both `{matrix.key}` and `{each.key}`"
        r.error("conflicting-keys", message, each.span, "make the list one more key of the matrix")
        return [draft]
    if matrix:
        made = _combinations(r, draft, matrix, room)
        return _members(draft, [({"matrix": dict(one)}, label) for one, label in made]) if made else [draft]
    return _each(draft, each, known, room) if each else [draft]


def _members(draft: Draft, bindings: Sequence[tuple[Combination, str]]) -> list[Draft]:
    return [draft._replace(id=f"{draft.id}[{label}]", family=draft.id, bindings=bound) for bound, label in bindings]


# --- forEach ---------------------------------------------------------------------------------------------------------


def _each(draft: Draft, given: Given, known: Mapping[str, object], room: Room) -> list[Draft]:
    r = draft.r
    for other in given.more:
        if plain(other.node) != plain(given.node):
            conflict(r, given, other)
    sources = _sources(draft, given, known)
    if sources:
        if draft.kind == "condition":
            message = f"condition {quoted(draft.id)} cannot be repeated for what another step will bring"
            r.error("conflicting-keys", message, given.span, "put the condition on the steps that it is about")
        text = str(cast("Scalar", given.node).value)
        template(r, draft.id, text, given.node)
        return [draft._replace(for_each=text, sources=sources)]
    items = _items(r, given)
    if items is None or not room.take(r, len(items), f"step {quoted(draft.id)}", given.node.span):
        return [draft]
    if not items:
        message = f"`{given.key}` of step {quoted(draft.id)} is empty: there is nothing to do"
        r.warning("empty-list", message, given.node.span)
        kept: Found = {name: g for name, g in draft.found.items() if name in ("name", "description", "condition")}
        return [draft._replace(kind="noop", found=kept)]
    labels = item_labels(items)
    return _members(draft, [({"item": item, "index": n}, labels[n]) for n, item in enumerate(items)])


def _sources(draft: Draft, given: Given, known: Mapping[str, object]) -> list[tuple[str, ...]]:
    """The references to steps in the text that stands for the list."""
    node, r = given.node, draft.r
    if not isinstance(node, Scalar) or not isinstance(node.value, str) or not _is_one_reference(node.value, r.dollar):
        return []
    from stepwave.core.language.interpolate import text_references

    try:
        paths = sorted(text_references(node.value, r.dollar, r.scope.variables))
    except ExpressionError:
        return []  # told where it is resolved
    return [path for path in paths if path[0] == "steps" or _bare_step(draft, path, known)]


def _bare_step(draft: Draft, path: tuple[str, ...], known: Mapping[str, object]) -> bool:
    return len(path) > 1 and path[0] not in draft.r.scope.variables and bool(step_in(path, 0, draft.scope, known))


def _is_one_reference(text: str, dollar: bool) -> bool:
    text = text.strip()
    return (text.startswith("{{") and text.endswith("}}")) or (dollar and text.startswith("${") and text.endswith("}"))


def _items(r: Reading, given: Given) -> list[Value] | None:
    """The items of a list that is known now."""
    node = given.node
    if isinstance(node, tree.Sequence):
        if len(node.items) > MAX_COMBINATIONS:
            return [None] * len(node.items)  # only to be counted
        return [_filled(r, given.key, item) for item in node.items]
    value: object = plain(node)
    if isinstance(value, str) and has_reference(value, dollar=r.dollar):
        value = resolved(r, given, value)
        if value is None:
            return None
    if isinstance(value, list):
        return cast("list[Value]", value)
    shown = "a mapping" if isinstance(value, dict) else tree.type_names.get(type(value), "text")
    help = "write a list, or refer to one: `{{variables.hosts}}`, `{{steps.find.output}}`"
    r.error("not-a-list", f"`{given.key}` must be a list, and is {shown}", node.span, help)
    return None


def _filled(r: Reading, key: str, node: Node) -> Value:
    """The node as a value, with its references filled in; numbers that would change are kept as they are written."""
    if isinstance(node, tree.Sequence):
        return [_filled(r, key, item) for item in node.items]
    if isinstance(node, tree.Mapping):
        return {name: _filled(r, key, item) for name, item in node.entries.items()}
    if isinstance(node.value, str) and has_reference(node.value, dollar=r.dollar):
        return resolved(r, Given(key, node, node.span), node.value)
    if isinstance(node.value, (int, float)) and not isinstance(node.value, bool) and str(node.value) != node.text:
        return node.text
    return node.value


# --- matrix ----------------------------------------------------------------------------------------------------------


class _Entry(NamedTuple):
    values: Combination
    span: Span


def _combinations(r: Reading, draft: Draft, given: Given, room: Room) -> list[tuple[Combination, str]]:
    """Every combination and its label; empty after an error."""
    for other in given.more:
        conflict(r, given, other)
    if not isinstance(given.node, tree.Mapping):
        wrong_type(r, given, "a mapping from names to lists")
        return []
    before = len(r.found)
    axes = _axes(r, given.node)
    include = _entries(r, given.node, "include", None)
    exclude = _entries(r, given.node, "exclude", axes)
    if len(r.found) > before:
        return []
    count = prod(map(len, axes.values())) + len(include) if axes else len(include)
    if not room.take(r, count, f"the matrix of step {quoted(draft.id)}", given.node.span):
        return []
    _tell_idle(r, axes, exclude)
    made = _included(axes, _excluded(axes, exclude), include)
    if not made:
        help = "take something out of `exclude`" if exclude else "give it a name with a list of values"
        r.error("no-combinations", f"the matrix of step {quoted(draft.id)} has no combination", given.span, help)
    return list(zip(made, _labels(axes, made), strict=True))


def _axes(r: Reading, mapping: tree.Mapping) -> dict[str, list[Value]]:
    axes: dict[str, list[Value]] = {}
    for name, node in mapping.entries.items():
        if name in ("include", "exclude") or name.startswith(("_", "x-")):
            continue
        if not _name.match(name):
            message = f"{quoted(name)} cannot be a name in a matrix: `{{{{matrix.…}}}}` could not refer to it"
            r.error("bad-name", message, mapping.keys[name], "use letters, digits, `_` and `-`")
            continue
        values = None if is_null(node) else _items(r, Given(f"matrix.{name}", node, mapping.keys[name]))
        if values is None:
            if is_null(node):
                r.error("not-a-list", f"`matrix.{name}` must be a list, and is null", mapping.keys[name])
            continue
        if len(values) <= MAX_COMBINATIONS and any(isinstance(one, (list, dict)) or one is None for one in values):
            message = f"`matrix.{name}` may hold only texts, numbers and booleans"
            help = r.did_you_mean(name, ("include", "exclude")) or "use `forEach` for a list of mappings"
            r.error("wrong-type", message, node.span, help)
            continue
        axes[name] = values
    return axes


_name = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")


def _entries(r: Reading, mapping: tree.Mapping, key: str, axes: Mapping[str, object] | None) -> list[_Entry]:
    """What stands under `include` or `exclude`; what is excluded must be known (`axes`)."""
    node = mapping.get(key)
    if node is None or is_null(node):
        return []
    if not isinstance(node, tree.Sequence) or not all(isinstance(item, tree.Mapping) for item in node.items):
        r.error("wrong-type", f"`matrix.{key}` must be a list of mappings", node.span)
        return []
    if len(node.items) > MAX_ENTRIES:
        message = f"`matrix.{key}` has {len(node.items):,} entries, and {MAX_ENTRIES:,} are allowed"
        r.error("too-many-combinations", message, node.span)
        return []
    return [_entry(r, key, item, axes) for item in node.items if isinstance(item, tree.Mapping)]


def _entry(r: Reading, key: str, item: tree.Mapping, axes: Mapping[str, object] | None) -> _Entry:
    values: Combination = {}
    for name, node in item.entries.items():
        if axes is not None and name not in axes:
            r.error("unknown-key", f"the matrix has no {quoted(name)}", item.keys[name], r.did_you_mean(name, axes))
        elif not _name.match(name):
            r.error("bad-name", f"{quoted(name)} cannot be a name in a matrix", item.keys[name])
        elif not isinstance(node, Scalar) or node.value is None:
            r.error("wrong-type", f"`matrix.{key}.{name}` must be text, a number or a boolean", node.span)
        else:
            values[name] = _filled(r, f"matrix.{key}.{name}", node)
    return _Entry(values, item.span)


def _excluded(axes: Mapping[str, list[Value]], exclude: list[_Entry]) -> list[Combination]:
    """All combinations but those of which an entry says the truth."""
    gone = _by_names(exclude)
    made = (dict(zip(axes, values, strict=True)) for values in product(*axes.values())) if axes else iter(())
    return [one for one in made if not any(_key(one, names) in keys for names, keys in gone.items())]


def _tell_idle(r: Reading, axes: Mapping[str, list[Value]], exclude: list[_Entry]) -> None:
    """An entry with a value that no combination has takes nothing away."""
    known = {name: {_key({name: value}, (name,)) for value in values} for name, values in axes.items()}
    for entry in exclude:
        for name, value in entry.values.items():
            if _key(entry.values, (name,)) not in known[name]:
                message = f"no combination has {quoted(text_of(value))} for `{name}`: this entry takes nothing away"
                words = [text_of(one) for one in axes[name]]
                help = "a number and a text are not the same" if text_of(value) in words else None
                r.warning("excludes-nothing", message, entry.span, help or r.did_you_mean(text_of(value), words))


def _included(axes: Mapping[str, object], made: list[Combination], include: list[_Entry]) -> list[Combination]:
    """An entry is laid over every combination whose own values it does not change; when there is none, it is added.

    These are the rules of GitHub Actions (`strategy.matrix.include`).
    """
    alone: list[Combination] = []
    originals = [dict(one) for one in made]
    places: dict[tuple[str, ...], dict[object, list[int]]] = {}
    for entry in include:
        names = tuple(sorted(name for name in entry.values if name in axes))
        if names not in places:
            places[names] = {}
            for n, one in enumerate(originals):
                places[names].setdefault(_key(one, names), []).append(n)
        fitting = places[names].get(_key(entry.values, names), [])
        for n in fitting:
            made[n].update(entry.values)
        if not fitting:
            alone.append(dict(entry.values))
    return made + alone


def _by_names(entries: Iterable[_Entry]) -> dict[tuple[str, ...], set[object]]:
    found: dict[tuple[str, ...], set[object]] = {}
    for entry in entries:
        names = tuple(sorted(entry.values))
        found.setdefault(names, set()).add(_key(entry.values, names))
    return found


def _key(one: Combination, names: Iterable[str]) -> object:
    """Values to be compared: true is not 1."""
    return tuple((isinstance(one[name], bool), one[name]) for name in names)


def _labels(axes: Mapping[str, list[Value]], made: list[Combination]) -> list[str]:
    """`os=linux,py=3.12`; their numbers, where that would be long, odd or the same for two."""
    labels = []
    for one in made:
        names = [name for name in one if name in axes] if any(name in axes for name in one) else list(one)
        parts = [(name, label_of(one[name])) for name in names]
        whole = ",".join(f"{name}={text}" for name, text in parts)
        labels.append(whole if all(text for _, text in parts) and len(whole) <= 2 * MAX_LABEL else "")
    if "" in labels or len(set(labels)) < len(labels):
        return [str(n) for n in range(len(made))]
    return labels


# --- one of many -----------------------------------------------------------------------------------------------------


def member_steps(drafts: Sequence[Draft], ties: Mapping[str, Ties], pools: Mapping[str, int]) -> Iterator[Step]:
    """The steps of one `matrix` or `forEach`, with what their own names stand for in the fields that must be known now,
    and in what they are called. What is wrong in the file is told of the first of them, and not again of the others.
    Where the `matrix` or `forEach` itself is wrong, it is one step, whose names may stand for anything.
    """
    r, scope = drafts[0].r, drafts[0].r.scope
    told: set[tuple[str, Place]] = set()
    for number, draft in enumerate(drafts):
        templates, findings = len(r.templates), len(r.found)
        r.scope = scope._replace(locals=draft.bindings)
        step = build_step(r, draft, ties.get(draft.id, untied), pools)
        yield step._replace(name=_called(r, step)) if draft.bindings else step
        r.scope = scope
        new = [one for one in r.found[findings:] if (one.code, one.place) not in told]
        told.update((one.code, one.place) for one in new)
        r.found[findings:] = new
        if number == 0:
            known = _names(drafts)
            r.templates[templates:] = [one._replace(known=one.known | known) for one in r.templates[templates:]]
        else:
            del r.templates[templates:]


def _names(drafts: Sequence[Draft]) -> frozenset[str]:
    """What stands for something in some of these steps: `item`, `index`, or `matrix` and `matrix.os` …"""
    if drafts[0].for_each is not None:
        return frozenset(("item", "index"))
    if not drafts[0].family:
        return frozenset(("item", "index", "matrix"))
    inner = {f"matrix.{name}" for draft in drafts for name in cast("Combination", draft.bindings.get("matrix") or {})}
    return frozenset((*drafts[0].bindings, *inner))


def _called(r: Reading, step: Step) -> str:
    if not has_reference(step.name, r.dollar):
        return step.name
    from stepwave.core.language.interpolate import fill

    try:
        return fill(step.name, r.scope, dollar=r.dollar)
    except (ExpressionError, Unresolved):
        return step.name
