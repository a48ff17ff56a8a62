"""From a document to a workflow: the one place where three dialects and their near kin become one.

Rule 1  Every fault is told, none is raised, and there is a workflow exactly when there is no error.
Rule 2  Nothing is guessed from a wrong value: what cannot be read is reported and left out.
Rule 3  Time and memory grow with the file, not with its square; nothing recurses along the graph.

The way: `shape` finds the workflow or workstreams in the file, `workflow` reads what holds for all
steps, `step` drafts each step, `graph` connects them, `step` then makes them whole, and
`references` asks whether their references lead anywhere.
"""

import gc
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from collections.abc import Mapping as Map
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from typing import NamedTuple

from stepwave.core.building.edges import Section
from stepwave.core.building.fields import Given, Reading, choice, count, one, quoted
from stepwave.core.building.fields_many import pools as read_pools
from stepwave.core.building.graph import Graph, connect
from stepwave.core.building.ignored import tell_ignored
from stepwave.core.building.means import Means
from stepwave.core.building.parts import (
    Part,
    defaults_of,
    expanded,
    in_file_order,
    section_of,
    settled_variables,
    workstreams,
)
from stepwave.core.building.pools import conflict_pool, fan_pool
from stepwave.core.building.references import check_references
from stepwave.core.building.retry import breaker_of, breakers_of, tell_no_phases
from stepwave.core.building.shape import Sheet, sheets_of
from stepwave.core.building.step import Defaults, Draft, Models, Ties, untied
from stepwave.core.building.workflow import check_name, metadata_of, read_defaults, read_workflow
from stepwave.core.diagnostics import Diagnostic, Place, has_errors, in_order
from stepwave.core.language.scope import Files, Values
from stepwave.core.model import STAGES, Dialect, Stage, Step, Value, Workflow
from stepwave.core.model import nothing as empty
from stepwave.core.reading.dialects import Family, detect_dialect, family_of
from stepwave.core.reading.document import Document, Mapping, Span, Syntax
from stepwave.core.reading.env_file import EnvFiles

__all__ = ["Inputs", "build", "detect_dialect"]


class Inputs(NamedTuple):
    """What a workflow is made from besides its file.

    `environ` is the caller's environment. `variables` lie over those of the file. `folder` is the absolute folder of
    the file, `around` the same as people write it. `name` picks one of several workflows (`workflows:`), or a
    workstream of a list. `documents` and `files` are what `sources.asked` asks for, by path: included files (a text is
    the reason why one cannot be read, a lower-case sentence; None: it could not be parsed), and those of `dotenv`.
    `means` are what can carry out steps besides commands. `now` is seconds since the epoch, and `readable` the files
    of the folder: for what is worked out at once.
    """

    environ: Map[str, str] = empty
    variables: Map[str, Value] = empty
    folder: str = "."
    around: str = ""
    name: str | None = None
    documents: Map[str, Document | str | None] = empty
    files: EnvFiles = empty
    means: Means = Means()
    now: float = 0.0
    readable: Files | None = None
    is_program: Callable[[str], bool] = lambda word: False


def build(document: Document, inputs: Inputs, *, strict: bool = False) -> tuple[Workflow | None, list[Diagnostic]]:
    """The workflow of a document, and every finding, sorted by place; None exactly when one is an error.

    With `strict` every unknown key is an error, and a camel workflow needs a name. Raises nothing for what a file
    says.
    """
    with _undisturbed():
        family = family_of(document.root)
        r = _reading(document, family, inputs, strict)
        sheets = sheets_of(r, document.root, inputs.name)
        whole = sheets[0] if len(sheets) == 1 and not sheets[0].id else Sheet(None, {}, [])
        one(r, whole.found, "dialect", dialect)
        check_name(r, whole.mapping, whole.found, family.dialect)
        return _build(r, whole, _parts(r, sheets, inputs), family, inputs)


def build_folder(
    folder: str, documents: Sequence[Document], inputs: Inputs, *, strict: bool = False
) -> tuple[Workflow | None, list[Diagnostic]]:
    """The workflow that the files of a folder are together: each of them is a workstream. As `build` otherwise."""
    from stepwave.core.building.folder import parts_of

    with _undisturbed():
        whole = Document(folder, "", Syntax.YAML, Mapping({}, {}, Span(1, 1, 1, 1)))
        r = _reading(whole, family_of(whole.root), inputs, strict, documents)
        parts = parts_of(r, documents, inputs.name)
        counted = [0, 0]
        parts = [_opened(part, inputs, part.r.document.path.rpartition("/")[2], counted) for part in parts]
        called = Sheet(None, {}, [], key=inputs.name or inputs.folder.rpartition("/")[2])
        return _build(r, called, parts, family_of(whole.root), inputs)


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


def _reading(
    document: Document, family: Family, inputs: Inputs, strict: bool, beside: Sequence[Document] = ()
) -> Reading:
    secret = _secret_names([document, *beside], inputs)
    env = {name: value for name, value in inputs.environ.items() if name not in secret} if secret else inputs.environ
    scope = Values(variables=inputs.variables, env=env, now=inputs.now, files=inputs.readable)
    r = Reading(document, scope, family.unit, dollar=family.dialect is not Dialect.CAMEL, strict=strict)
    r.secret_names = secret
    r.folder, r.around, r.files, r.means = inputs.folder, inputs.around, inputs.files, inputs.means
    r.is_program = inputs.is_program
    return r


def _secret_names(documents: list[Document], inputs: Inputs) -> frozenset[str]:
    """The variables of the environment that are secrets: nothing that is worked out now may know them."""
    documents += (one for one in inputs.documents.values() if isinstance(one, Document))
    if not any("secrets" in one.text for one in documents):
        return frozenset()
    from stepwave.core.building.secrets import names_in

    return names_in(documents)


def dialect(r: Reading, given: Given) -> Dialect | None:
    return choice(r, given, {dialect.value: dialect for dialect in Dialect})


def _build(
    r: Reading, whole: Sheet, parts: list[Part], family: Family, inputs: Inputs
) -> tuple[Workflow | None, list[Diagnostic]]:
    variables = partial(settled_variables, parts, inputs.variables)
    workflow = read_workflow(r, whole.found, variables, family, _place(r.document, whole), whole.key or inputs.name)
    workflow = _with_steps(r, parts, workflow, read_defaults(r, whole.found))
    metadata = metadata_of(r, whole.mapping, whole.found)
    found = in_order(r.found)
    if has_errors(found):
        return None, found
    return workflow._replace(metadata=metadata, folder=inputs.folder), found


def _place(document: Document, whole: Sheet) -> Place:
    named = whole.found.get("name") or whole.found.get("id")
    return document.place(named.node.span) if named else Place(document.path)


# --- parts -----------------------------------------------------------------------------------------------------------


def _parts(r: Reading, sheets: list[Sheet], inputs: Inputs) -> list[Part]:
    """One part for each sheet, with all that it includes inside."""
    counted = [0, 0]
    path = r.document.path.rpartition("/")[2]
    return [_opened(part, inputs, path, counted) for part in workstreams(r, sheets)]


def _opened(part: Part, inputs: Inputs, path: str, counted: list[int]) -> Part:
    if "include" not in part.sheet.found:
        return part
    from stepwave.core.building.include import with_included

    return with_included(part, inputs.documents, path, counted)


# --- steps -----------------------------------------------------------------------------------------------------------


def _with_steps(r: Reading, parts: list[Part], workflow: Workflow, defaults: Defaults) -> Workflow:
    """With every step, the pools they take from, those of groups included, and the breakers that they share."""
    all_parts = [inner for part in parts for inner in in_file_order(part)]
    held = [defaults if part.is_whole else defaults_of(part, r.scope) for part in all_parts]
    if defaults.secrets:
        held = [own if own is defaults else own._replace(secrets=(*defaults.secrets, *own.secrets)) for own in held]
    sections = expanded([section_of(part, own) for part, own in zip(all_parts, held, strict=True)])
    graph = connect(r, sections)
    drafts = [draft for section in sections for draft in section.drafts]
    shared = set(workflow.host_pools)
    pools = _pools(all_parts, sections, graph, workflow.pools, shared)
    steps = [*_made(drafts, graph.ties, pools)]
    for part, own in zip(all_parts, held, strict=True):
        steps += _tests(part, own, graph.needs)
    if any(step.stage is not Stage.MAIN for step in steps):
        steps.sort(key=lambda step: STAGES.index(step.stage))  # within a stage they stay as they are in the file
    workflow = workflow._replace(
        steps=tuple(steps), pools=pools, host_pools=frozenset(shared), breakers=_breakers(drafts, steps)
    )
    if any(section.phases for section in sections):
        from stepwave.core.building.phases import checkpoints

        workflow = workflow._replace(checkpoints=checkpoints(sections))
    if r.secrets:
        from stepwave.core.building.secrets import with_secrets

        workflow = with_secrets(r, workflow)
    _check_across(all_parts, drafts, graph, workflow)
    given = {step.id: step.secrets for step in workflow.steps} if r.secrets else None
    check_references([part.r for part in all_parts] or [r], graph, r.scope.variables, given)
    return workflow


def _breakers(drafts: Iterable[Draft], steps: Iterable[Step]) -> Map[str, int]:
    """The circuit breakers that several steps share, and how many failures open them."""
    keys = {step.id: step.breaker for step in steps if step.breaker}
    if not keys:
        return empty
    shared = [draft for draft in drafts if draft.id in keys]
    return breakers_of((keys[draft.id], breaker_of(draft.r, draft.found, draft.defaults.breaker)) for draft in shared)


def _check_across(parts: list[Part], drafts: list[Draft], graph: Graph, workflow: Workflow) -> None:
    """What can be told only once all steps are known: names in a `saga`, and claims of the same files."""
    for part in parts:
        if "saga.steps" in part.sheet.found:
            from stepwave.core.building.stages import check_saga

            check_saga(part.r, part.sheet.found, part.scope, {*graph.needs, *graph.families})
        if "breaker.perPhase" in part.sheet.found and not any(draft.phase for draft in drafts):
            tell_no_phases(part.r, part.sheet.found)
    tables = (*(part.sheet.found for part in parts), *(draft.found for draft in drafts))
    if graph.sound and any(not _file_claims.isdisjoint(found) for found in tables):
        from stepwave.core.building.scopes import check_scopes

        check_scopes(parts, drafts, workflow)
    if graph.sound and any("inputs" in draft.found for draft in drafts):
        from stepwave.core.building.inputs import check_traffic

        check_traffic(drafts, {step.id: step for step in workflow.steps}, graph)


_file_claims = frozenset(("files.scope", "files.create", "files.modify", "files.forbidden"))


def _made(drafts: Iterable[Draft], ties: Map[str, Ties], pools: Map[str, int]) -> Iterator[Step]:
    models = Models(pools)
    for _, same in groupby(drafts, key=lambda draft: draft.family or draft.id):
        members = list(same)
        tell_ignored(members[0].r, members[0])
        if members[0].family or not _many.isdisjoint(members[0].found):
            from stepwave.core.building.matrix import member_steps

            yield from member_steps(members, ties, pools)
        else:
            yield from (models.build(one, ties.get(one.id, untied)) for one in members)


_many = frozenset(("matrix", "forEach"))


def _tests(part: Part, defaults: Defaults, taken: Container[str]) -> Iterator[Step]:
    """What must hold before the run and at its end."""
    for stage, name in ((Stage.CHECK, "checks"), (Stage.ACCEPT, "tests")):
        if name in part.sheet.found:
            from stepwave.core.building.acceptance import workflow_tests

            yield from workflow_tests(part.r, part.sheet.found, stage, defaults, scope=part.scope, taken=taken)


def _pools(
    parts: list[Part], sections: list[Section], graph: Graph, pools: Map[str, int], shared: set[str]
) -> dict[str, int]:
    """Those that the files declare, and those that groups stand for. `shared` gets those of the whole machine."""
    named = dict(pools)
    for part in parts:
        if not part.is_whole:
            _add_pools(part, named, shared)
    for section in sections:
        for draft in section.drafts:
            for group in (conflict_pool(draft.r, draft.found), draft.defaults.pool):
                if group:
                    named[group] = 1
            fan = fan_pool(draft)
            if fan and fan not in named:
                named[fan] = one(draft.r, draft.found, "maxConcurrency", count) or 1
        if section.groups:
            from stepwave.core.building.groups import pools_of

            named |= pools_of(section, graph.ties)
    return named


def _add_pools(part: Part, named: dict[str, int], shared: set[str]) -> None:
    for name, pool in (one(part.r, part.sheet.found, "pools", read_pools) or {}).items():
        if pool.is_shared and name not in named:
            shared.add(name)
        message = None
        if named.setdefault(name, pool.units) != pool.units:
            message = f"{quoted(name)} has {named[name]} units in another file, and {pool.units} here"
        elif pool.is_shared != (name in shared):
            message = f"{quoted(name)} has another `scope` in another file"
        if message is not None:
            help = "a pool is one for all files: give it the same units, or another name"
            part.r.error("conflicting-include", message, part.sheet.found["pools"].span, help)
