"""`phases`: parts of a workflow, one after the other unless they say what they need. They are gone after this: what
stays are needs between steps."""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from stepwave.core.building.cycles import find_cycle
from stepwave.core.building.edges import Edges, Section, first_and_last
from stepwave.core.building.fields import (
    Found,
    Given,
    Reading,
    conflict,
    flag,
    gather,
    is_missed,
    one,
    quoted,
    text,
    wrong_type,
)
from stepwave.core.building.fields_many import Word, words
from stepwave.core.building.shape import Item, items_of
from stepwave.core.model import Checkpoint
from stepwave.core.reading import keys
from stepwave.core.reading.document import Mapping, Span, beginning, kind
from stepwave.core.reading.document import Sequence as List
from stepwave.core.text import one_line


class Phase(NamedTuple):
    """`needs` as written; None for those of a phase that does not say: the one before it. `holds` and `restarts` are
    those of a `model.Checkpoint`."""

    id: str
    span: Span
    items: list[Item]
    needs: Sequence[Word] | None = None
    holds: bool = False
    restarts: bool = False


def phases_of(r: Reading, given: Given) -> list[Phase]:
    """The phases that a file has. What is wrong with one is told, and it is left out."""
    if not isinstance(given.node, List):
        wrong_type(r, given, "a list of phases")
        return []
    if not given.node.items:
        r.error("no-steps", f"`{given.key}` has no phases", given.span, "write a list of phases, each with `steps:`")
    phases: dict[str, Phase] = {}
    for number, node in enumerate(given.node.items, 1):
        if not isinstance(node, Mapping):
            r.error("wrong-type", f"a phase must be a mapping, not {kind(node)}", node.span)
            continue
        phase = _phase(r, node, number)
        first = phases.setdefault(phase.id, phase)
        if first is not phase:
            message = f"Duplicate phase ID: {one_line(phase.id, 80)}"
            r.error("duplicate-id", message, phase.span, f"the first one is in line {first.span.line}")
    return list(phases.values())


def _phase(r: Reading, node: Mapping, number: int) -> Phase:
    found: Found = {}
    gather(r, node, keys.phase, found)
    named = found.get("id") or found.get("name")
    id = one(r, found, "id", text) or one(r, found, "name", text) or str(number)
    span = named.node.span if named else beginning(node)
    holds = one(r, found, "checkpoint", flag) is True
    restarts = one(r, found, "resumeStrategy", _restarts) is True
    before = len(r.found)
    items = items_of(r, found["steps"]) if "steps" in found else []
    for other in found["steps"].more if "steps" in found else ():
        conflict(r, found["steps"], other)
    if not items and len(r.found) == before and ("steps" in found or is_missed(found, "steps")):
        r.error("no-steps", f"phase {quoted(id)} has no steps", span, "give it a list of `steps`, or take it away")
    one(r, found, "description", text)
    return Phase(id, span, items, one(r, found, "needs", words), holds, restarts)


_strategies = {
    **dict.fromkeys(("continue", "steps", "skip", "skip_completed", "from_checkpoint", "checkpoint"), False),
    **dict.fromkeys(("restart", "phase", "restart_phase", "from_start"), True),
}


def _restarts(r: Reading, given: Given) -> bool | None:
    """What a phase that was not completed does when a run is taken up again: all of it, or what is left of it."""
    word = text(r, given)
    if word is None or word in _strategies:
        return None if word is None else _strategies[word]
    message = f"`{given.key}` is {quoted(word)}, which is read as `continue`"
    r.warning("unknown-strategy", message, given.node.span, "write `continue` or `restart`")
    return False


def checkpoints(sections: Iterable[Section]) -> tuple[Checkpoint, ...]:
    """What the phases say about runs that are taken up again."""
    found = []
    for section in sections:
        for phase in section.phases:
            if phase.holds or phase.restarts:
                id = section.scope + phase.id
                steps = tuple(draft.id for draft in section.drafts if draft.phase == id)
                found.append(Checkpoint(id, steps, phase.holds, phase.restarts))
    return tuple(found)


# --- edges -----------------------------------------------------------------------------------------------------------


def connect_phases(edges: Edges, section: Section) -> None:
    """Every first step of a phase needs all the last ones of the phases that it depends on."""
    needs = _needs(section, edges.drafts)
    cycle = find_cycle({id: tuple(word for word, _ in asked) for id, asked in needs.items()})
    if cycle is not None:
        from stepwave.core.building.graph import listed

        span = next(span for word, span in needs[cycle[-1]] if word == cycle[0])
        message = f"Circular dependency detected among phases: {listed(cycle, ', ')}"
        section.r.error("cycle", message, span, f"{listed((*cycle, cycle[0]), ' -> ')}: take one of these needs away")
        return
    own: dict[str, list[str]] = {phase.id: [] for phase in section.phases}
    for draft in section.drafts:
        phase = draft.phase.removeprefix(section.scope)
        if phase in own and edges.drafts.get(draft.id) is draft:
            own[phase].append(draft.id)
    ends = {id: first_and_last(edges, ids) for id, ids in own.items()}
    for id, asked in needs.items():
        for word, span in asked:
            edges.join(ends[id][0], ends[word][1], section.r, span)


def _needs(section: Section, steps: Collection[str]) -> dict[str, list[Word]]:
    """What each phase depends on, without what does not exist."""
    r = section.r
    known = {phase.id: phase for phase in section.phases}
    needs: dict[str, list[Word]] = {}
    before: str | None = None
    for phase in section.phases:
        asked = phase.needs if phase.needs is not None else [(before, phase.span)] if before is not None else []
        needs[phase.id] = []
        for word, span in asked:
            if word == phase.id:
                r.error("self-dependency", f'Phase "{one_line(word, 80)}" cannot depend on itself', span)
            elif word not in known:
                message = f'Phase "{one_line(phase.id, 80)}" depends on non-existent phase: {one_line(word, 80)}'
                help = r.did_you_mean(word, known)
                if section.scope + word in steps:
                    help = f"{quoted(word)} is a step, and a phase depends on phases"
                r.error("unknown-phase", message, span, help)
            else:
                needs[phase.id].append((word, span))
        before = phase.id
    return needs
