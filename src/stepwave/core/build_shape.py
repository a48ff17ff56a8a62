"""What a file is: one workflow, a list of steps, a list of workstreams, or several workflows by name."""

from typing import NamedTuple

from stepwave.core import keys
from stepwave.core.build_workflow import first_key
from stepwave.core.document import Mapping, Node, Scalar, Sequence, kind
from stepwave.core.fields import Found, Given, Reading, every, gather, is_empty, one, quoted, text
from stepwave.core.fields_many import Word

Item = tuple[Node, Word | None]
"""A step, and its key where the steps are a mapping."""


class Sheet(NamedTuple):
    """A workflow or workstream, its keys sorted by name. `id` is set for a workstream of a list."""

    mapping: Mapping | None
    found: Found
    items: list[Item]
    id: str = ""
    key: str = ""

    @property
    def is_agent(self) -> bool:
        """Without steps, but with something that an agent is to do."""
        return not self.items and any(name in self.found for name in ("agent", "tool", "tasks"))


def sheets_of(r: Reading, root: Node, name: str | None) -> list[Sheet]:
    """The sheets of a file: one, or one for each workstream; none after an error. Raises nothing."""
    if isinstance(root, Sequence) and _are_workstreams(root):
        return _workstreams(r, root, name)
    key = ""
    if isinstance(root, Mapping) and isinstance(named := root.get("workflows"), Mapping):
        picked = _pick(r, root, named, name)
        if picked is None:
            return []
        key, root = picked
        name = None
    if isinstance(root, Scalar):
        what = "is empty" if root.value is None else f"holds {kind(root)}, not a workflow"
        r.error("no-steps", f"this file {what}", root.span, "write a list of steps under `steps:`")
        return []
    sheet = _sheet(r, root) if isinstance(root, Mapping) else Sheet(None, {}, [(item, None) for item in root.items])
    sheet = sheet._replace(key=key)
    if not sheet.items and not sheet.is_agent:
        _no_steps(r, root)
    if name is not None:
        _check_name(r, sheet, root, name)
    return [sheet]


def _no_steps(r: Reading, root: Node) -> None:
    span = first_key(root) if isinstance(root, Mapping) else root.span
    help = "write a list of steps under `steps:`"
    if isinstance(root, Mapping):
        for key in keys.step_lists:
            held = root.get(key)
            if isinstance(held, Scalar) and held.value is not None:
                return  # what stands there instead has been told
            if held is not None:
                r.error("no-steps", f"`{key}` has no steps", root.keys[key], "a workflow needs at least one")
                return
        if not root.entries.keys().isdisjoint(("command", "cmd", "run", "script")):
            help = "this looks like a single step: put it into a list under `steps:`"
    r.error("no-steps", "this file has no `steps`", span, help)


def _check_name(r: Reading, sheet: Sheet, root: Node, name: str) -> None:
    """A name is for files with several workflows; for one it must at least be the right one."""
    known = [
        given.node.value
        for key in ("id", "name")
        for given in every(sheet.found, key)
        if isinstance(given.node, Scalar)
    ]
    if name not in known:
        span = first_key(root) if isinstance(root, Mapping) else root.span
        message = f"there is no workflow {quoted(name)} in this file, which holds only one"
        r.error("which-workflow", message, span, "leave the name away")


# --- one mapping -----------------------------------------------------------------------------------------------------


def _sheet(r: Reading, mapping: Mapping) -> Sheet:
    found: Found = {}
    gather(r, mapping, keys.workflow, found)
    _settle_saga(r, mapping)
    lists = []
    for given in every(found, "steps"):
        if given.key == "tasks" and not _holds_mappings(given.node):
            found["tasks"] = Given(given.key, given.node, given.span)
        else:
            lists.append(given)
    found.pop("steps", None)
    for other in lists[1:]:
        message = f"the steps stand under `{lists[0].key}` already, and again under `{other.key}`"
        r.error("conflicting-keys", message, other.span, "put them all into one list")
    items = _items(r, lists[0]) if lists else _of_phases(mapping)
    return Sheet(mapping, found, items)


def _settle_saga(r: Reading, mapping: Mapping) -> None:
    saga = mapping.get("saga")
    if isinstance(saga, Mapping):
        enabled = saga.get("enabled")
        off = isinstance(enabled, Scalar) and enabled.value is False
        if not off and not is_empty(saga):
            r.later("saga", mapping.keys["saga"])


def _holds_mappings(node: Node) -> bool:
    """Mappings are steps; texts are for an agent to read."""
    return isinstance(node, Mapping) or (isinstance(node, Sequence) and any(isinstance(n, Mapping) for n in node.items))


def _items(r: Reading, given: Given) -> list[Item]:
    if isinstance(given.node, Sequence):
        return [(item, None) for item in given.node.items]
    if isinstance(given.node, Mapping):
        named = given.node.keys
        return [(n, (key, named[key])) for key, n in given.node.items() if not key.startswith(("_", "x-"))]
    r.error("wrong-type", f"`{given.key}` must be a list of steps, not {kind(given.node)}", given.node.span)
    return []


def _of_phases(mapping: Mapping) -> list[Item]:
    """The steps of all phases, so that they are checked although phases cannot be run yet."""
    phases = mapping.get("phases")
    found: list[Item] = []
    for phase in phases.items if isinstance(phases, Sequence) else ():
        steps = phase.get("steps") if isinstance(phase, Mapping) else None
        if isinstance(steps, Sequence):
            found += [(item, None) for item in steps.items if isinstance(item, Mapping)]
    return found


# --- several by name -------------------------------------------------------------------------------------------------


def _pick(r: Reading, root: Mapping, named: Mapping, name: str | None) -> tuple[str, Node] | None:
    """One of `workflows:`; what stands beside it holds for it too, unless it says otherwise."""
    names = [key for key in named.entries if not key.startswith(("_", "x-"))]
    if name is None and len(names) == 1:
        name = names[0]
    if name is None or name not in names:
        shown = ", ".join(quoted(key) for key in names[:20]) + (" …" if len(names) > 20 else "")
        told = "this file holds several workflows" if name is None else f"there is no workflow {quoted(name)} among"
        help = (r.did_you_mean(name, names) if name else None) or "pick one with `--name`"
        r.error("which-workflow", f"{told}{':' if name is None else ''} {shown}", root.keys["workflows"], help)
        return None
    picked = named.entries[name]
    if not isinstance(picked, Mapping):
        return name, picked
    around = {key: node for key, node in root.entries.items() if key != "workflows"}
    spans = {key: root.keys[key] for key in around}
    return name, Mapping({**around, **picked.entries}, {**spans, **picked.keys}, picked.span)


# --- workstreams -----------------------------------------------------------------------------------------------------


def _are_workstreams(root: Sequence) -> bool:
    """Items with what workstreams have, and none with what only steps have."""
    mappings = [item.entries.keys() for item in root.items if isinstance(item, Mapping)]
    return any(not names.isdisjoint(keys.workstream_marks) for names in mappings) and all(
        names.isdisjoint(keys.command_marks) for names in mappings
    )


def _workstreams(r: Reading, root: Sequence, name: str | None) -> list[Sheet]:
    sheets = []
    for item in root.items:
        if not isinstance(item, Mapping):
            r.error("wrong-type", f"a workstream must be a mapping, not {kind(item)}", item.span)
            continue
        sheet = _sheet(r, item)
        sheet = sheet._replace(id=one(r, sheet.found, "id", text) or "")
        if "id" not in sheet.found:
            r.error("missing-key", "a workstream needs an `id`", first_key(item))
        if not sheet.items and not sheet.is_agent:
            _no_steps(r, item)
        sheets.append(sheet)
    if name is None:
        return sheets
    picked = [sheet for sheet in sheets if sheet.id == name]
    if not picked:
        help = r.did_you_mean(name, [sheet.id for sheet in sheets])
        r.error("which-workflow", f"there is no workstream {quoted(name)} in this file", root.span, help)
    return picked
