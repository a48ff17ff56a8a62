"""Who needs whom: names become edges, and every fault of the graph is told where it was written.

The order matters: what holds between files, phases and workstreams hangs on who is first and last in them, which the
edges inside them decide. So the edges between single steps come first, then groups, phases, included files, the inner
ones before the outer ones, and workstreams last.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from stepwave.core.building.cycles import Needs, find_cycle
from stepwave.core.building.edges import Edges, Section, first_and_last
from stepwave.core.building.fields import Reading, is_missed, quoted
from stepwave.core.building.fields_many import Word
from stepwave.core.building.step import Draft, Ties, untied
from stepwave.core.language.scoped import prefixes, step_in
from stepwave.core.model import Stage
from stepwave.core.reading.document import Span
from stepwave.core.text import one_line


class Graph(NamedTuple):
    """`ties` has what each step is tied to, by id; `families` the ids of every matrix and `forEach`, by the id in the
    file. `stages` has those of the steps that are not of the main one. `sound`: free of cycles."""

    needs: dict[str, tuple[str, ...]]
    ties: dict[str, Ties]
    families: dict[str, list[str]]
    stages: dict[str, Stage]
    sound: bool


class _Far(NamedTuple):
    """A need on all that an included file has: settled when all inside of it is."""

    ids: Sequence[str]
    target: str
    r: Reading
    span: Span


def connect(r: Reading, sections: list[Section]) -> Graph:
    """What every step is tied to. Duplicate ids keep their first step."""
    edges = _edges(sections)
    far: list[_Far] = []
    branches: dict[str, Ties] = {}
    for members in _by_step(edges):
        far += _explicit(edges, members)
        if members[0].for_each:
            _source(edges, members[0])
    for members in _by_step(edges):
        if members[0].kind == "condition":
            decided = _branches(edges, members)
            branches.update(dict.fromkeys((member.id for member in members), decided))
    _parts(edges, sections)
    _included(edges, far)
    _workstreams(r, edges, sections)
    needs = {id: tuple(found) for id, found in edges.needs.items()}
    ties = {
        id: branches.get(id, untied)._replace(needs=found, pools=tuple(edges.pools.get(id, ())))
        for id, found in needs.items()
    }
    stages: dict[str, Stage] = {id: draft.stage for id, draft in edges.drafts.items() if draft.stage is not Stage.MAIN}
    return Graph(needs, ties, edges.families, stages, not _tell_cycle(edges, needs))


# --- what there is ---------------------------------------------------------------------------------------------------


def _edges(sections: Iterable[Section]) -> Edges:
    edges = Edges()
    owners: dict[str, Draft] = {}
    folded: dict[str, str] = {}
    for section in sections:
        if section.scope and not section.id:
            edges.scopes.add(section.scope)
        edges.phases.update(phase.id for phase in section.phases)
        for draft in section.drafts:
            own = draft.family or draft.id
            owner = owners.setdefault(own, draft)
            if not draft.id:
                continue  # what it should have had has been told
            if owner.found is not draft.found:
                _duplicate(draft, owner, own)
            else:
                _enter(edges, draft)
                if owner is draft:
                    _check_case(draft, own, folded)
    for scope in edges.scopes:
        if scope[:-1] in owners:
            draft = owners[scope[:-1]]
            message = f"step {quoted(draft.id)} has the name of an included file"
            draft.r.error("duplicate-id", message, draft.span, "give the file another name: `{file: …, as: …}`")
    return edges


def _enter(edges: Edges, draft: Draft) -> None:
    edges.drafts[draft.id] = draft
    edges.needs[draft.id] = []
    if draft.family:
        edges.families.setdefault(draft.family, []).append(draft.id)
    if draft.name:
        edges.by_name.setdefault(draft.scope + draft.name, draft.family or draft.id)


def _duplicate(draft: Draft, first: Draft, id: str) -> None:
    where = f"line {first.span.line}"
    if first.r.document.path != draft.r.document.path:
        where += f" of {one_line(first.r.document.path, 80)}"
    message = f"Duplicate step ID: {one_line(id, 80)}"
    draft.r.error("duplicate-id", message, draft.span, f"the first one is in {where}")


def _check_case(draft: Draft, id: str, folded: dict[str, str]) -> None:
    twin = folded.setdefault(id.lower(), id)
    if twin != id:
        message = f"{quoted(id)} differs from {quoted(twin)} only in case"
        draft.r.warning("similar-ids", message, draft.span, "where files are named by id, they may be one")


def _by_step(edges: Edges) -> Iterable[list[Draft]]:
    """The drafts, those of one matrix or `forEach` together: they need the same."""
    for id, draft in edges.drafts.items():
        if not draft.family:
            yield [draft]
        elif edges.families[draft.family][0] == id:
            yield [edges.drafts[member] for member in edges.families[draft.family]]


# --- between steps ---------------------------------------------------------------------------------------------------


def _explicit(edges: Edges, members: list[Draft]) -> list[_Far]:
    """The needs as written; those on a whole included file are given back."""
    draft = members[0]
    r, own = draft.r, draft.family or draft.id
    ids = [member.id for member in members]
    far: list[_Far] = []
    for word, span in draft.needs:
        found = edges.resolve(word, draft.scope)
        if not found:
            target = _file_named(edges, word, draft.scope)
            if target is not None:
                far.append(_Far(ids, target, r, span))
                continue
            if r.is_unread(word, draft.scope):
                continue
            message = f'Step "{one_line(own, 80)}" depends on non-existent step: {one_line(word, 80)}'
            help = r.did_you_mean(word, edges.candidates(word))
            if word in edges.phases:
                help = f"{quoted(word)} is a phase: let the phase of the step depend on it, or name one of its steps"
            r.error("unknown-step", message, span, help)
        elif found[0] in ids or ids[0] in found:
            _self(r, own, span)
        elif (draft.id, found[0]) in edges.spans:
            r.warning("duplicate-need", f"step {quoted(own)} names {quoted(word)} twice", span)
        elif _may_need(r, draft, edges.drafts[found[0]], word, span):
            edges.join(ids, found, r, span)
    return far


def _may_need(r: Reading, draft: Draft, need: Draft, word: str, span: Span) -> bool:
    """Whether that is an edge. A step of `finally` waits for all others anyway, and none of them for it."""
    if draft.stage is need.stage:
        return True
    if draft.stage is not Stage.FINALLY:
        message = f"step {quoted(draft.id)} cannot wait for {quoted(word)}, which stands under `finally`"
        r.error("bad-stage", message, span, "steps of `finally` run after all others")
    return False


def _file_named(edges: Edges, word: str, scope: str) -> str | None:
    """The prefix of the included file that a word stands for."""
    return next((p + word + "." for p in prefixes(scope) if p + word + "." in edges.scopes), None)


def _self(r: Reading, id: str, span: Span) -> None:
    r.error("self-dependency", f'Step "{one_line(id, 80)}" cannot depend on itself', span)


def _source(edges: Edges, draft: Draft) -> None:
    """A `forEach` over what a step brings waits for that step."""
    given = draft.found["forEach"]
    for path in draft.sources:
        found = step_in(path, 1 if path[0] == "steps" else 0, draft.scope, edges.names)
        for need in edges.resolve(found[0], "") if found else ():
            if need == draft.id:
                _self(draft.r, draft.id, given.node.span)
            elif _may_need(draft.r, draft, edges.drafts[need], need, given.node.span):
                edges.add(draft.id, need, draft.r, given.node.span)


def _branches(edges: Edges, members: list[Draft]) -> Ties:
    """The ids on both sides of a condition; each waits for it."""
    draft = members[0]
    r = draft.r
    own = [member.id for member in members]
    sides: tuple[list[str], list[str]] = ([], [])
    seen: dict[str, int] = {}
    for side, words in enumerate(draft.targets):
        for word, span in _distinct(words):
            for id in _targets(edges, draft, word, span):
                if seen.setdefault(id, side) != side:
                    message = f"condition {quoted(draft.id)} leads to {quoted(word)} both when true and when false"
                    r.error("both-branches", message, span, "take one away, or let the step need the condition instead")
                    break
                sides[side].append(id)
                edges.join([id], own, r, span)
    if not any(draft.targets) and is_missed(draft.found, "onTrue", "onFalse"):
        message = f"condition {quoted(draft.id)} has neither `onTrue` nor `onFalse`: nothing hangs on it"
        r.warning("no-branches", message, draft.span, "name the steps that it decides about")
    return Ties(on_true=tuple(dict.fromkeys(sides[0])), on_false=tuple(dict.fromkeys(sides[1])), decides=True)


def _distinct(words: Iterable[Word]) -> list[Word]:
    """Each word where it stands first."""
    first: dict[str, Span] = {}
    for word, span in words:
        first.setdefault(word, span)
    return list(first.items())


def _targets(edges: Edges, draft: Draft, word: str, span: Span) -> Sequence[str]:
    found = edges.resolve(word, draft.scope)
    if not found and draft.r.is_unread(word, draft.scope):
        return ()
    if not found:
        message = f"condition {quoted(draft.id)} leads to {quoted(word)}, which does not exist"
        draft.r.error("unknown-branch-target", message, span, draft.r.did_you_mean(word, edges.candidates(word)))
    elif draft.id in found:
        _self(draft.r, draft.id, span)
        return ()
    elif edges.drafts[found[0]].stage is not draft.stage:
        message = f"condition {quoted(draft.id)} leads to {quoted(word)}, but only one of them is under `finally`"
        draft.r.error("bad-stage", message, span, "put both there, or none of them")
        return ()
    return found


# --- between parts ---------------------------------------------------------------------------------------------------


def _parts(edges: Edges, sections: list[Section]) -> None:
    for section in sections:
        if section.groups or any("group" in draft.found for draft in section.drafts):
            from stepwave.core.building.groups import connect_groups

            connect_groups(edges, section)
    for section in sections:
        if section.phases:
            from stepwave.core.building.phases import connect_phases

            connect_phases(edges, section)


def _included(edges: Edges, far: list[_Far]) -> None:
    """Needs on whole files, those on the innermost first: they decide who is last in the files around them."""
    last: dict[str, list[str]] = {}
    for ids, target, r, span in sorted(far, key=lambda need: -need.target.count(".")):
        if target not in last:
            last[target] = first_and_last(edges, (id for id, d in edges.drafts.items() if _is_in(d, target)))[1]
        if _is_in(edges.drafts[ids[0]], target):
            _self(r, target[:-1], span)
        elif edges.drafts[ids[0]].stage is Stage.MAIN:
            edges.join(ids, last[target], r, span)


def _is_in(draft: Draft, target: str) -> bool:
    return draft.scope.startswith(target) and draft.stage is Stage.MAIN


def _workstreams(r: Reading, edges: Edges, sections: list[Section]) -> None:
    """Every first step of a workstream needs every last step of those it depends on."""
    if not any(section.needs for section in sections):
        return
    streams = {section.id: section for section in sections if section.id}
    ends = _ends(edges, sections)
    for section in sections:
        for word, span in section.needs:
            if word not in streams and (len(streams) < 2 or not section.id):
                section.r.info("outside-need", f"{quoted(word)} is not in this file, and is taken as done", span)
            elif word not in streams:
                message = (
                    f'Workstream "{one_line(section.id, 80)}" depends on non-existent workstream: {one_line(word, 80)}'
                )
                section.r.error("unknown-step", message, span, r.did_you_mean(word, streams))
            elif word == section.id:
                _self(section.r, word, span)
            else:
                edges.join(ends[section.id][0], ends[word][1], section.r, span)


def _ends(edges: Edges, sections: list[Section]) -> dict[str, tuple[list[str], list[str]]]:
    """First and last steps of each workstream, those of its included files among them."""
    own: dict[str, list[str]] = {}
    for section in sections:
        ids = (d.id for d in section.drafts if edges.drafts.get(d.id) is d and d.stage is Stage.MAIN)
        own.setdefault(section.stream, []).extend(ids)
    return {stream: first_and_last(edges, ids) for stream, ids in own.items()}


# --- cycles ----------------------------------------------------------------------------------------------------------


def _tell_cycle(edges: Edges, needs: Needs) -> bool:
    cycle = find_cycle(needs)
    if cycle is None:
        return False
    message = f"Circular dependency detected among steps: {listed(cycle, ', ')}"
    help = f"{listed((*cycle, cycle[0]), ' -> ')}: take one of these needs away"
    r, span = edges.spans[cycle[-1], cycle[0]]
    r.error("cycle", message, span, help)
    return True


def listed(ids: tuple[str, ...], joint: str) -> str:
    """Ids in a row; of very many the first and the last ones."""
    shown = ids if len(ids) <= 12 else (*ids[:8], f"… {len(ids) - 11} more …", *ids[-3:])
    return joint.join(one_line(id, 60) for id in shown)
