"""Who needs whom: names become edges, and every fault of the graph is told where it was written."""

from collections.abc import Iterable
from typing import NamedTuple

from stepwave.core.build_step import Draft
from stepwave.core.cycles import Needs, find_cycle
from stepwave.core.document import Span
from stepwave.core.fields import Reading, quoted
from stepwave.core.fields_many import Word
from stepwave.core.text import one_line

MAX_JOINED = 200_000
"""Edges that two workstreams may have between them, when every first step of one needs every last one of the other."""


class Section(NamedTuple):
    """Steps that stand together: a workflow, or a workstream with its own needs."""

    id: str
    drafts: list[Draft]
    needs: list[Word]


class Edges(NamedTuple):
    """What is known while the graph grows. `spans` tells where an edge was written."""

    drafts: dict[str, Draft]
    by_name: dict[str, str]
    needs: dict[str, list[str]]
    spans: dict[tuple[str, str], Span]

    def add(self, id: str, need: str, span: Span) -> None:
        if (id, need) not in self.spans:
            self.spans[id, need] = span
            self.needs[id].append(need)

    def resolve(self, word: str, scope: str) -> str | None:
        """The id that a word stands for: in its own workstream, in the file, or the name of a step without an id."""
        if scope and scope + word in self.drafts:
            return scope + word
        return word if word in self.drafts else self.by_name.get(word)


def connect(r: Reading, sections: list[Section]) -> tuple[dict[str, tuple[str, ...]], bool]:
    """The needs of every step, and whether they are free of cycles. Duplicate ids keep their first step."""
    edges = _edges(r, sections)
    for draft in edges.drafts.values():
        _explicit(r, edges, draft)
    for draft in edges.drafts.values():
        _branches(r, edges, draft)
    _workstreams(r, edges, sections)
    needs = {id: tuple(found) for id, found in edges.needs.items()}
    return needs, not _tell_cycle(r, edges, needs)


def _edges(r: Reading, sections: Iterable[Section]) -> Edges:
    drafts: dict[str, Draft] = {}
    folded: dict[str, str] = {}
    by_name: dict[str, str] = {}
    for section in sections:
        for draft in section.drafts:
            if draft.id in drafts:
                first = drafts[draft.id].span
                message = f"Duplicate step ID: {one_line(draft.id, 80)}"
                r.error("duplicate-id", message, draft.span, f"the first one is in line {first.line}")
            elif draft.id:
                drafts[draft.id] = draft
                if draft.name:
                    by_name.setdefault(draft.name, draft.id)
                twin = folded.setdefault(draft.id.lower(), draft.id)
                if twin != draft.id:
                    message = f"{quoted(draft.id)} differs from {quoted(twin)} only in case"
                    r.warning("similar-ids", message, draft.span, "where files are named by id, they may be one")
    return Edges(drafts, by_name, {id: [] for id in drafts}, {})


def _explicit(r: Reading, edges: Edges, draft: Draft) -> None:
    for word, span in draft.needs:
        need = edges.resolve(word, draft.scope)
        if need is None:
            message = f'Step "{one_line(draft.id, 80)}" depends on non-existent step: {one_line(word, 80)}'
            r.error("unknown-step", message, span, r.did_you_mean(word, edges.drafts))
        elif need == draft.id:
            _self(r, draft.id, span)
        elif (draft.id, need) in edges.spans:
            r.warning("duplicate-need", f"step {quoted(draft.id)} names {quoted(word)} twice", span)
        else:
            edges.add(draft.id, need, span)


def _self(r: Reading, id: str, span: Span) -> None:
    r.error("self-dependency", f'Step "{one_line(id, 80)}" cannot depend on itself', span)


def _branches(r: Reading, edges: Edges, draft: Draft) -> None:
    for word, span in draft.targets:
        target = edges.resolve(word, draft.scope)
        if target is None:
            message = f"condition {quoted(draft.id)} leads to {quoted(word)}, which does not exist"
            r.error("unknown-branch-target", message, span, r.did_you_mean(word, edges.drafts))
        elif target == draft.id:
            _self(r, draft.id, span)
        else:
            edges.add(target, draft.id, span)


# --- workstreams -----------------------------------------------------------------------------------------------------


def _workstreams(r: Reading, edges: Edges, sections: list[Section]) -> None:
    """Every first step of a workstream needs every last step of those it depends on."""
    if not any(section.needs for section in sections):
        return
    by_id = {section.id: section for section in sections if section.id}
    ends = {id: _first_and_last(edges, section) for id, section in by_id.items()}
    joined = 0
    for section in sections:
        for word, span in section.needs:
            if word not in by_id and len(sections) == 1:
                r.info("outside-need", f"{quoted(word)} is not in this file, and is taken as done", span)
                continue
            if word not in by_id:
                message = (
                    f'Workstream "{one_line(section.id, 80)}" depends on non-existent workstream: {one_line(word, 80)}'
                )
                r.error("unknown-step", message, span, r.did_you_mean(word, by_id))
                continue
            if word == section.id:
                _self(r, word, span)
                continue
            first, last = ends[section.id][0], ends[word][1]
            joined += len(first) * len(last)
            if joined > MAX_JOINED:
                message = f"the workstreams have more than {MAX_JOINED} dependencies between their steps"
                r.error("too-many-edges", message, span, "put one step at the end of the one that is needed")
                return
            for id in first:
                for need in last:
                    edges.add(id, need, span)


def _first_and_last(edges: Edges, section: Section) -> tuple[list[str], list[str]]:
    own = [draft.id for draft in section.drafts if edges.drafts.get(draft.id) is draft]
    among = set(own)
    needed = {need for id in own for need in edges.needs[id] if need in among}
    first = [id for id in own if not any(need in among for need in edges.needs[id])]
    return first, [id for id in own if id not in needed]


# --- cycles ----------------------------------------------------------------------------------------------------------


def _tell_cycle(r: Reading, edges: Edges, needs: Needs) -> bool:
    cycle = find_cycle(needs)
    if cycle is None:
        return False
    message = f"Circular dependency detected among steps: {_listed(cycle, ', ')}"
    help = f"{_listed((*cycle, cycle[0]), ' -> ')}: take one of these needs away"
    r.error("cycle", message, edges.spans[cycle[-1], cycle[0]], help)
    return True


def _listed(ids: tuple[str, ...], joint: str) -> str:
    shown = ids if len(ids) <= 12 else (*ids[:8], f"… {len(ids) - 11} more …", *ids[-3:])
    return joint.join(one_line(id, 60) for id in shown)
