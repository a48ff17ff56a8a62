"""From a document to a workflow: the one place where three dialects and their near kin become one.

Rule 1  Every fault is told, none is raised, and there is a workflow exactly when there is no error.
Rule 2  Nothing is guessed from a wrong value: what cannot be read is reported and left out.
Rule 3  Time and memory grow with the file, not with its square; nothing recurses along the graph.

The way: `build_shape` finds the workflow or workstreams in the file, `build_workflow` reads what holds for all
steps, `build_step` drafts each step, `build_graph` connects them, `build_step` then makes them whole, and
`build_references` asks whether their references lead anywhere.
"""

import gc
from collections.abc import Iterator
from collections.abc import Mapping as Map
from contextlib import contextmanager
from typing import NamedTuple

from stepwave.core.build_graph import Section, connect
from stepwave.core.build_references import check_references
from stepwave.core.build_shape import Sheet, sheets_of
from stepwave.core.build_step import Defaults, Draft, build_step, conflict_pool, draft
from stepwave.core.build_workflow import check_name, metadata_of, read_defaults, read_workflow
from stepwave.core.diagnostics import Diagnostic, Place, has_errors, in_order
from stepwave.core.dialects import detect_dialect, family_of
from stepwave.core.document import Document
from stepwave.core.fields import Found, Given, Reading, choice, every, one
from stepwave.core.fields_many import environment, words
from stepwave.core.fields_many import pools as read_pools
from stepwave.core.model import Dialect, Step, Value, Workflow
from stepwave.core.model import nothing as empty
from stepwave.core.scope import Values

__all__ = ["Inputs", "build", "detect_dialect"]


class Inputs(NamedTuple):
    """What a workflow is made from besides its file.

    `environ` is the caller's environment. `variables` lie over those of the file. `folder` is the absolute folder of
    the file. `name` picks one of several workflows (`workflows:`), or a workstream of a list.
    """

    environ: Map[str, str] = empty
    variables: Map[str, Value] = empty
    folder: str = "."
    name: str | None = None


def build(document: Document, inputs: Inputs, *, strict: bool = False) -> tuple[Workflow | None, list[Diagnostic]]:
    """The workflow of a document, and every finding, sorted by place; None exactly when one is an error.

    With `strict` every unknown key is an error, and a camel workflow needs a name. Raises nothing for what a file
    says. Findings that are no error but forbid a run have the code `not-built-yet`.
    """
    with _undisturbed():
        return _build(document, inputs, strict)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Without the cyclic collector: all that is made here lives on, and looking for garbage in it doubles the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _build(document: Document, inputs: Inputs, strict: bool) -> tuple[Workflow | None, list[Diagnostic]]:
    family = family_of(document.root)
    scope = Values(variables=inputs.variables, env=inputs.environ)
    r = Reading(document, scope, family.unit, dollar=family.dialect is not Dialect.CAMEL, strict=strict)
    sheets = sheets_of(r, document.root, inputs.name)
    whole = sheets[0] if len(sheets) == 1 and not sheets[0].id else Sheet(None, {}, [])
    one(r, whole.found, "dialect", _dialect)
    check_name(r, whole.mapping, whole.found, family.dialect)
    called = whole.key or inputs.name
    workflow = read_workflow(r, whole.found, inputs.variables, family, _place(document, whole), called)
    steps, pools = _steps(r, sheets, workflow.pools, read_defaults(r, whole.found))
    metadata = metadata_of(r, whole.mapping, whole.found)
    found = in_order(r.found)
    if has_errors(found):
        return None, found
    return workflow._replace(steps=steps, pools=pools, metadata=metadata, folder=inputs.folder), found


def _dialect(r: Reading, given: Given) -> Dialect | None:
    return choice(r, given, {dialect.value: dialect for dialect in Dialect})


def _place(document: Document, whole: Sheet) -> Place:
    named = whole.found.get("name") or whole.found.get("id")
    return document.place(named.node.span) if named else Place(document.path)


def _steps(
    r: Reading, sheets: list[Sheet], pools: Map[str, int], defaults: Defaults
) -> tuple[tuple[Step, ...], Map[str, int]]:
    """Every step, and the pools they take from, those of conflict groups included."""
    sections = [_section(r, sheet, defaults) for sheet in sheets]
    needs, sound = connect(r, sections)
    drafts = [draft for section in sections for draft in section.drafts]
    pools = {**pools, **_pools(r, sheets, drafts)}
    steps = tuple(build_step(r, draft, needs.get(draft.id, ()), pools) for draft in drafts)
    check_references(r, needs, r.scope.variables, sound=sound)
    return steps, pools


def _pools(r: Reading, sheets: list[Sheet], drafts: list[Draft]) -> dict[str, int]:
    groups = (conflict_pool(r, draft.found) for draft in drafts if "conflictGroup" in draft.found)
    named = {group: 1 for group in groups if group}
    for sheet in sheets:
        if sheet.id:
            named |= one(r, sheet.found, "pools", read_pools) or {}
    return named


# --- workflows and workstreams ---------------------------------------------------------------------------------------

_of_the_whole = (
    "timeout",
    "variables",
    "parallel",
    "maxConcurrency",
    "scheduling",
    "rateLimit",
    "onFailure",
    "dialect",
)


def _section(r: Reading, sheet: Sheet, defaults: Defaults) -> Section:
    """The steps of one sheet as drafts. In a list of workstreams their ids begin with that of the workstream."""
    if sheet.id:
        defaults = _workstream_defaults(r, sheet)
    needs = one(r, sheet.found, "needs", words) or []
    if sheet.is_agent:
        return Section(sheet.id, [_main(sheet, defaults)], needs)
    scope = f"{sheet.id}." if sheet.id else ""
    drafts = [draft(r, node, key, defaults, scope) for node, key in sheet.items]
    return Section(sheet.id, [made for made in drafts if made is not None], needs)


def _main(sheet: Sheet, defaults: Defaults) -> Draft:
    """The one step that a workstream without steps is."""
    found: Found = {
        name: sheet.found[name] for name in ("agent", "tool", "tasks", "prompt", "name") if name in sheet.found
    }
    given = sheet.found.get("id") or sheet.found.get("tool") or sheet.found.get("agent") or sheet.found["tasks"]
    return Draft(sheet.id or "main", "", given.node.span, "agent", found, defaults)


def _workstream_defaults(r: Reading, sheet: Sheet) -> Defaults:
    for name in _of_the_whole:
        for given in every(sheet.found, name):
            message = f"`{given.key}` of one workstream has no effect in a list of them"
            r.warning("ignored-key", message, given.span, "put the workstream into a file of its own")
    defaults = read_defaults(r, sheet.found)
    env = one(r, sheet.found, "env", environment) or {}
    return defaults._replace(env={**env, **defaults.env}) if env else defaults
