"""What a file is: one workflow, a list of steps, a list of workstreams, or several workflows by name."""

from collections.abc import Sequence as List
from typing import NamedTuple

from stepwave.core.building.fields import Found, Given, Reading, every, gather, is_missed, one, quoted, text
from stepwave.core.building.fields_many import Word
from stepwave.core.reading import keys
from stepwave.core.reading.document import Mapping, Node, Scalar, Sequence, Span, beginning, kind

Item = tuple[Node, Word | None]
"""A step, and its key where the steps are a mapping."""


class Sheet(NamedTuple):
    """A workflow or workstream, its keys sorted by name. `id` is set for a workstream of a list. `items` are its steps,
    without those of its phases; `last` those under `finally`."""

    mapping: Mapping | None
    found: Found
    items: list[Item]
    id: str = ""
    key: str = ""
    last: List[Item] = ()

    @property
    def start(self) -> Span:
        """Where it begins."""
        return beginning(self.mapping) if self.mapping else Span(1, 1, 1, 1)

    @property
    def is_agent(self) -> bool:
        """Without steps, but with something that an agent is to do."""
        return not self.has_steps and any(name in self.found for name in ("agent", "tool", "tasks"))

    @property
    def has_steps(self) -> bool:
        """Of its own, in phases or in other files; whether those do have any is told where they are read."""
        return bool(self.items) or "phases" in self.found or "include" in self.found


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
    if _lacks_steps(sheet):
        _no_steps(r, root)
    if name is not None:
        _check_name(r, sheet, root, name)
    return [sheet]


def _lacks_steps(sheet: Sheet) -> bool:
    meant = ("steps", "phases", "include", "agent", "tool", "tasks")
    return not sheet.has_steps and not sheet.is_agent and is_missed(sheet.found, *meant)


def _no_steps(r: Reading, root: Node) -> None:
    span = beginning(root)
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
        span = beginning(root)
        message = f"there is no workflow {quoted(name)} in this file, which holds only one"
        r.error("which-workflow", message, span, "leave the name away")


# --- one mapping -----------------------------------------------------------------------------------------------------


def _sheet(r: Reading, mapping: Mapping) -> Sheet:
    found: Found = {}
    gather(r, mapping, keys.workflow, found)
    _refuse_matrix(r, found)
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
    items = items_of(r, lists[0]) if lists else []
    return Sheet(mapping, found, items, last=items_of(r, found["finally"]) if "finally" in found else ())


def _refuse_matrix(r: Reading, found: Found) -> None:
    """It would multiply a whole workflow, which nothing here does."""
    for given in every(found, "matrix"):
        message = f"`{given.key}` belongs to a step: a whole workflow cannot be multiplied"
        r.error("misplaced-key", message, given.span, "put it on the step that is to run for each combination")


def _holds_mappings(node: Node) -> bool:
    """Mappings are steps; texts are for an agent to read."""
    return isinstance(node, Mapping) or (isinstance(node, Sequence) and any(isinstance(n, Mapping) for n in node.items))


def items_of(r: Reading, given: Given) -> list[Item]:
    """The steps in a list, or in a mapping from ids to steps."""
    if isinstance(given.node, Sequence):
        return [(item, None) for item in given.node.items]
    if isinstance(given.node, Mapping):
        named = given.node.keys
        return [(n, (key, named[key])) for key, n in given.node.items() if not key.startswith(("_", "x-"))]
    r.error("wrong-type", f"`{given.key}` must be a list of steps, not {kind(given.node)}", given.node.span)
    return []


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
        if is_missed(sheet.found, "id"):
            r.error("missing-key", "a workstream needs an `id`", beginning(item))
        if _lacks_steps(sheet):
            _no_steps(r, item)
        sheets.append(sheet)
    if name is None:
        return sheets
    picked = [sheet for sheet in sheets if sheet.id == name]
    if not picked:
        help = r.did_you_mean(name, [sheet.id for sheet in sheets])
        r.error("which-workflow", f"there is no workstream {quoted(name)} in this file", root.span, help)
    return picked
