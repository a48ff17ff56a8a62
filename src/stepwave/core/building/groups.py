"""`step_groups`: steps that share a width of their own, or run one after the other. What stays of a group is a pool,
and needs where it is sequential."""

from collections import Counter
from collections.abc import Mapping as Map
from itertools import pairwise
from typing import NamedTuple

from stepwave.core.building.edges import Edges, Section
from stepwave.core.building.fields import (
    Found,
    Given,
    Reading,
    choice,
    gather,
    is_missed,
    one,
    quoted,
    text,
    width,
    wrong_type,
)
from stepwave.core.building.fields_many import Word, words
from stepwave.core.building.step import Draft, Ties
from stepwave.core.reading import keys
from stepwave.core.reading.document import Mapping, Sequence, Span, beginning, kind
from stepwave.core.text import one_line


class Group(NamedTuple):
    """`limit` is how many of its steps may run at a time; None: all."""

    id: str
    span: Span
    steps: list[Word]
    sequential: bool = False
    limit: int | None = None


def groups_of(r: Reading, given: Given) -> list[Group]:
    """The groups that a file has. What is wrong with one is told."""
    if not isinstance(given.node, Sequence):
        wrong_type(r, given, "a list of groups")
        return []
    groups: dict[str, Group] = {}
    for node in given.node.items:
        if not isinstance(node, Mapping):
            r.error("wrong-type", f"a step group must be a mapping, not {kind(node)}", node.span)
            continue
        group = _group(r, node)
        first = groups.setdefault(group.id, group)
        if first is not group and group.id:
            message = f"Duplicate group ID: {one_line(group.id, 80)}"
            r.error("duplicate-id", message, group.span, f"the first one is in line {first.span.line}")
    return list(groups.values())


def _group(r: Reading, node: Mapping) -> Group:
    found: Found = {}
    gather(r, node, keys.step_group, found)
    id = one(r, found, "id", text)
    if is_missed(found, "id"):
        r.error("missing-key", "a step group needs an `id`", beginning(node))
    one(r, found, "description", text)
    return Group(
        id or "",
        found["id"].node.span if "id" in found else beginning(node),
        one(r, found, "steps", words) or [],
        one(r, found, "execute", _execute) or False,
        one(r, found, "maxConcurrency", width) or None,
    )


def _execute(r: Reading, given: Given) -> bool | None:
    return choice(r, given, {"parallel": False, "sequential": True})


def pool_of(section: Section, group: Group) -> str:
    """The name of the pool that the steps of a group take one unit of."""
    return f"group:{section.scope}{group.id}"


# --- edges -----------------------------------------------------------------------------------------------------------


def connect_groups(edges: Edges, section: Section) -> None:
    """Notes the pool of every member, and chains those of sequential groups."""
    member_of: dict[str, Group] = {}
    named = {group.id: group for group in section.groups}
    chains = {group.id: _listed(edges, section, group, member_of) for group in section.groups}
    for draft in section.drafts:
        if "group" in draft.found and edges.drafts.get(draft.id) is draft:
            _by_key(draft, named, member_of, chains)
    for id, group in named.items():
        for step in chains[id]:
            edges.pools.setdefault(step, []).append(pool_of(section, group))
        if id and not chains[id] and not group.steps:
            help = "list its `steps`, or give some steps `group:`"
            section.r.error("empty-group", f"group {quoted(id)} has no steps", group.span, help)
        if group.sequential:
            for before, after in pairwise(chains[id]):
                if edges.drafts[before].stage is edges.drafts[after].stage:
                    edges.add(after, before, section.r, group.span)


def _listed(edges: Edges, section: Section, group: Group, member_of: dict[str, Group]) -> dict[str, None]:
    """The ids of the steps that a group lists, in its order."""
    r = section.r
    ids: dict[str, None] = {}
    for word, span in group.steps:
        found = edges.resolve(word, section.scope)
        if not found and not r.is_unread(word, section.scope):
            message = f"group {quoted(group.id)} names {quoted(word)}, which does not exist"
            r.error("unknown-step", message, span, r.did_you_mean(word, edges.candidates(word)))
        for id in found:
            if member_of.setdefault(id, group) is not group:
                _twice(r, word, member_of[id], group, span)
                break
            if id in ids:
                r.warning("duplicate-need", f"group {quoted(group.id)} names {quoted(word)} twice", span)
                break
            ids[id] = None
    return ids


def _by_key(
    draft: Draft, named: dict[str, Group], member_of: dict[str, Group], chains: dict[str, dict[str, None]]
) -> None:
    given = draft.found["group"]
    id = one(draft.r, draft.found, "group", text)
    if id is None:
        return
    group = named.get(id)
    if group is None:
        help = draft.r.did_you_mean(id, named) or "declare it under `step_groups`"
        draft.r.error("unknown-group", f"there is no step group {quoted(id)}", given.node.span, help)
    elif member_of.setdefault(draft.id, group) is not group:
        _twice(draft.r, draft.family or draft.id, member_of[draft.id], group, given.node.span)
    else:
        chains[id][draft.id] = None


def _twice(r: Reading, step: str, first: Group, second: Group, span: Span) -> None:
    message = f"step {quoted(step)} is in the groups {quoted(first.id)} and {quoted(second.id)}"
    r.error("two-groups", message, span, "a step can be in one group only: take it out of the other")


def pools_of(section: Section, ties: Map[str, Ties]) -> dict[str, int]:
    """The pools of a file's groups and their units: without a limit as many as there are members."""
    members = Counter(pool for tied in ties.values() for pool in tied.pools)
    limits = {pool_of(section, group): group.limit for group in section.groups}
    return {pool: limit or max(1, members[pool]) for pool, limit in limits.items()}
