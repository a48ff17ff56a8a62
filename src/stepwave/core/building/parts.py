"""What a workflow is made of: its own file, the files that it includes, or the workstreams of a list or a folder. What
holds for the steps of each part, and a draft of every one of them.

Rule 1  What a file says holds for its own steps: units, `env`, `defaults`, what ids mean. What concerns the whole run
        is the first file's affair, and is reported as ignored elsewhere.
Rule 2  Variables are common to all. Those of the including file win; two included ones must not contradict each other.
"""

import re
from collections.abc import Mapping as Map
from collections.abc import Sequence
from typing import NamedTuple

from stepwave.core.building.edges import Section
from stepwave.core.building.fields import Found, Reading, every, flag, one, quoted
from stepwave.core.building.fields_many import words
from stepwave.core.building.pools import conflict_pool
from stepwave.core.building.shape import Item, Sheet
from stepwave.core.building.step import Defaults, Draft, draft
from stepwave.core.building.workflow import environment_of, read_defaults, slug, values
from stepwave.core.language.scope import Values, has_reference
from stepwave.core.language.step_texts import texts_in
from stepwave.core.model import Stage, Value
from stepwave.core.reading.document import Mapping
from stepwave.core.text import one_line

FINALLY_S = 300.0
"""Time limit of a step under `finally` that has none of its own: they run after Ctrl-C, too."""


class Part(NamedTuple):
    """A file's share of the workflow, or a workstream's. `scope` is the prefix of its ids, `stream` the workstream that
    it belongs to, `inner` are the files that it includes. `own_file`: it is a file, not one of a list of workstreams.
    """

    r: Reading
    sheet: Sheet
    scope: str = ""
    stream: str = ""
    inner: Sequence["Part"] = ()
    own_file: bool = True

    @property
    def is_whole(self) -> bool:
        """It is the first file, which speaks for all."""
        return not self.scope

    @property
    def is_included(self) -> bool:
        return bool(self.scope) and not self.sheet.id


def workstreams(r: Reading, sheets: list[Sheet]) -> list[Part]:
    """A part for each workstream of a list; of one workflow the whole."""
    if len(sheets) == 1 and not sheets[0].id:
        return [Part(r, sheets[0])]
    parts = []
    for sheet in sheets:
        own = r.beside(r.document, r.unit, dollar=r.dollar, base=r.base)
        parts.append(Part(own, sheet, own_file=False))
    return distinct(parts)


def distinct(parts: list[Part]) -> list[Part]:
    """Workstreams with the prefix that their id is. Of two with the same id the first is kept."""
    first: dict[str, Part] = {}
    for part in parts:
        r, sheet = part.r, part.sheet
        span = sheet.found["id"].node.span if "id" in sheet.found else sheet.start
        if sheet.id in first:
            paths = first[sheet.id].r.document.path, r.document.path
            message = f"Duplicate bundle id '{one_line(sheet.id, 80)}' in {one_line(paths[0])} and {one_line(paths[1])}"
            r.error("duplicate-id", message, span, "an id is what others depend on: give one of them another")
        elif sheet.id and not _id.match(sheet.id):
            message = f"workstream id {quoted(sheet.id)} may hold only letters, digits, `_`, `.` and `-`"
            r.error("bad-id", message, span, f"write `{slug(sheet.id)}`" if slug(sheet.id) else None)
        else:
            r.prefix = f"{sheet.id}." if sheet.id else ""
            first[sheet.id] = part._replace(scope=r.prefix, stream=sheet.id)
    return list(first.values())


_id = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}\Z")


def in_file_order(part: Part) -> list[Part]:
    """The part and those in it, in the order of the files: what is included comes first, as it stands first."""
    found: list[Part] = []
    waiting: list[tuple[Part, bool]] = [(part, False)]
    while waiting:
        one, opened = waiting.pop()
        if opened or not one.inner:
            found.append(one)
        else:
            waiting.append((one, True))
            waiting += [(inner, False) for inner in reversed(one.inner)]
    return found


_of_the_whole = (
    "timeout",
    "parallel",
    "maxConcurrency",
    "scheduling",
    "rateLimit",
    "adaptive",
    "onFailure",
    "onFailureStrategy",
    "onFailureAction",
    "failFast",
    "saga.order",
    "dialect",
)


def _tell_ignored(part: Part) -> None:
    """Warns of what a part says about the whole run. Only a file has a dialect of its own."""
    for name in _of_the_whole:
        if part.own_file and name == "dialect":
            continue
        for given in every(part.sheet.found, name):
            if part.is_included:
                message, help = f"`{given.key}` of an included file has no effect", "put it into the including file"
            elif part.own_file:
                message = f"`{given.key}` of one workstream has no effect among several"
                help = "run the file alone, or use the option of `run`"
            else:
                message = f"`{given.key}` of one workstream has no effect in a list of them"
                help = "put the workstream into a file of its own"
            part.r.warning("ignored-key", message, given.span, help)


def variables_of(parts: Sequence[Part], given: Map[str, Value]) -> dict[str, Value]:
    """The variables of parts that stand beside each other, and of what they include; `given` ones beat them all."""
    merged: dict[str, Value] = {}
    for part in parts:
        own = one(part.r, part.sheet.found, "variables", values) or {}
        inner = variables_of(part.inner, {**given, **own}) if part.inner else {}
        for name, value in {**inner, **own}.items():
            if name in merged and name not in given and not _same(merged[name], value):
                _contradiction(part, name)
            merged.setdefault(name, value)
    return {**merged, **given}


def settled_variables(parts: list[Part], given: Map[str, Value], scope: Values) -> dict[str, Value]:
    """The same, with the references in those of the files replaced; `scope` answers for what is no variable."""
    variables = variables_of(parts, given)
    own = (value for name, value in variables.items() if name not in given)
    if not any(has_reference(text, dollar=True) for value in own for text in texts_in(value)):
        return variables
    from stepwave.core.building.variables import settle

    return settle(parts, variables, given, scope)


def _same(one: Value, other: Value) -> bool:
    return one == other and type(one) is type(other) and (isinstance(one, list | dict) or str(one) == str(other))


def _contradiction(part: Part, name: str) -> None:
    message = f"{quoted(name)} has another value in another file"
    help = "give it a value in the including file, or with `--var`: that one holds for all"
    for given in every(part.sheet.found, "variables"):
        if isinstance(given.node, Mapping) and name in given.node.entries:
            part.r.error("conflicting-include", message, given.node.entries[name].span, help)
            return
    for inner in part.inner:  # it came from further inside
        _contradiction(inner, name)


# --- steps ---------------------------------------------------------------------------------------------------------


def defaults_of(part: Part, around: Values) -> Defaults:
    """What a part that is not the whole says for its own steps. `around` is the scope of the whole."""
    r, found = part.r, part.sheet.found
    _tell_ignored(part)
    r.scope = around
    plain, env = environment_of(r, found)
    if env:
        r.scope = around._replace(env={**around.env, **plain})
    defaults = read_defaults(r, found)
    return defaults._replace(
        env={**env, **defaults.env} if env else defaults.env,
        exclusive=one(r, found, "parallelOk", flag) is False,
        pool=conflict_pool(r, found),
    )


def section_of(part: Part, defaults: Defaults) -> Section:
    """The steps of one part as drafts, those of its phases and of `finally` among them."""
    r, sheet = part.r, part.sheet
    drafts = [_main(part, defaults)] if sheet.is_agent else _drafts(part, sheet.items, defaults)
    section = Section(r, sheet.id, drafts, one(r, sheet.found, "needs", words) or (), part.scope, part.stream)
    if "phases" in sheet.found:
        from stepwave.core.building.phases import phases_of

        phases = phases_of(r, sheet.found["phases"])
        for phase in phases:
            drafts += [made._replace(phase=part.scope + phase.id) for made in _drafts(part, phase.items, defaults)]
        section = section._replace(phases=phases)
    if "stepGroups" in sheet.found:
        from stepwave.core.building.groups import groups_of

        section = section._replace(groups=groups_of(r, sheet.found["stepGroups"]))
    if sheet.last:
        limited = defaults if "defaults.timeout" in sheet.found else defaults._replace(timeout_s=FINALLY_S)
        drafts += [made._replace(stage=Stage.FINALLY) for made in _drafts(part, sheet.last, limited)]
    return section


def _drafts(part: Part, items: Sequence[Item], defaults: Defaults) -> list[Draft]:
    made = (draft(part.r, node, key, defaults, part.scope) for node, key in items)
    return [one for one in made if one is not None]


def _main(part: Part, defaults: Defaults) -> Draft:
    """The one step that a workstream without steps is."""
    sheet = part.sheet
    found: Found = {
        name: sheet.found[name] for name in ("agent", "tool", "tasks", "prompt", "name") if name in sheet.found
    }
    given = sheet.found.get("id") or sheet.found.get("tool") or sheet.found.get("agent") or sheet.found["tasks"]
    return Draft(sheet.id or f"{part.scope}main", "", given.node.span, "agent", found, defaults, part.r, part.scope)


def expanded(sections: list[Section]) -> list[Section]:
    """With every `matrix` and `forEach` as the steps that it stands for."""
    if not any("matrix" in draft.found or "forEach" in draft.found for part in sections for draft in part.drafts):
        return sections
    from stepwave.core.building.matrix import Room, expand

    known = {draft.id: draft for section in sections for draft in section.drafts}
    room = Room()
    return [
        section._replace(drafts=[one for draft in section.drafts for one in expand(draft, known, room)])
        for section in sections
    ]
