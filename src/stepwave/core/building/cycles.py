"""Questions about who needs whom, answered without recursion and in bounded time.

`needs` maps each id to the ids it needs. Ids that are not keys of it are ignored throughout.
"""

from collections import deque
from collections.abc import Iterable, Mapping

Needs = Mapping[str, tuple[str, ...]]

_budget = 1_000_000
"""Edges that the search for the shortest cycle may look at: below a second. Real graphs need far fewer."""

_chunk = 4096
"""How many ids are asked about in one pass: 512 bytes a step."""


def find_cycle(needs: Needs) -> tuple[str, ...] | None:
    """A shortest cycle, or None. Each id needs the next one, the last needs the first.

    Among equally short ones the first in the order of `needs` is taken, and it begins with its first id in
    that order. On huge tangles the search ends at a budget and gives the shortest cycle found by then.
    """
    left = _peeled({id: tuple(dict.fromkeys(n for n in targets if n in needs)) for id, targets in needs.items()})
    best: tuple[str, ...] | None = None
    budget = _budget
    for start in list(left):
        if start not in left:
            continue
        found, used = _cycle_through(start, left, len(best) if best else None)
        best, budget = found or best, budget - used
        if budget <= 0 or (best and len(best) == 1):
            break
        # Every cycle through `start` has been seen: without it more falls away, of a plain ring everything.
        budget -= _remove(start, left)
    best = best or _any_cycle(left)
    return best and _from_first(best, needs)


def in_order(needs: Needs) -> list[str]:
    """Every id after all it needs (Kahn, 1962); ids on or behind a cycle are left out."""
    waiting = {id: sum(n in needs for n in targets) for id, targets in needs.items()}
    dependents: dict[str, list[str]] = {id: [] for id in needs}
    for id, targets in needs.items():
        for target in targets:
            if target in dependents:
                dependents[target].append(id)
    ready = deque(id for id, count in waiting.items() if not count)
    order: list[str] = []
    while ready:
        order.append(id := ready.popleft())
        for dependent in dependents[id]:
            waiting[dependent] -= 1
            if not waiting[dependent]:
                ready.append(dependent)
    return order


def not_upstream(needs: Needs, pairs: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Of the pairs (id, target) those whose target is not among the direct and indirect needs of id.

    One bit per target and step: ten thousand steps that refer to each other cost megabytes, not gigabytes.
    """
    asked = set(pairs)
    open_pairs = {(id, target) for id, target in asked if target not in needs.get(id, ())}
    if not open_pairs:
        return set()
    order = in_order(needs)
    targets = list(dict.fromkeys(target for _, target in sorted(open_pairs)))
    missing: set[tuple[str, str]] = set()
    for first in range(0, len(targets), _chunk):
        bit_of = {target: 1 << n for n, target in enumerate(targets[first : first + _chunk])}
        above = _above(needs, order, bit_of)
        missing |= {(id, t) for id, t in open_pairs if t in bit_of and not above.get(id, 0) & bit_of[t]}
    return missing


def upstream(needs: Needs, bit_of: Mapping[str, int]) -> dict[str, int]:
    """The bits of all that each id needs, directly or not; an id without a bit is not told. Free of cycles only."""
    return _above(needs, in_order(needs), bit_of)


def turned(needs: Needs) -> dict[str, tuple[str, ...]]:
    """Every arrow the other way round: who is needed by whom."""
    found: dict[str, list[str]] = {id: [] for id in needs}
    for id, targets in needs.items():
        for target in targets:
            if target in found:
                found[target].append(id)
    return {id: tuple(ids) for id, ids in found.items()}


def _above(needs: Needs, order: list[str], bit_of: Mapping[str, int]) -> dict[str, int]:
    above: dict[str, int] = {}
    for id in order:
        bits = 0
        for need in needs[id]:
            bits |= above.get(need, 0) | bit_of.get(need, 0)
        above[id] = bits
    return above


def _peeled(needs: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Only the ids that lie on a way from a cycle to a cycle."""
    left = dict(needs)
    for id in in_order(needs):
        del left[id]
    turned: dict[str, list[str]] = {id: [] for id in left}
    for id, targets in left.items():
        for target in targets:
            if target in turned:
                turned[target].append(id)
    for id in in_order({id: tuple(sources) for id, sources in turned.items()}):
        del left[id]
    return {id: tuple(n for n in targets if n in left) for id, targets in left.items()}


def _cycle_through(start: str, needs: Needs, limit: int | None) -> tuple[tuple[str, ...] | None, int]:
    """The shortest cycle through `start` that is shorter than `limit`, and how many edges were looked at."""
    came_from: dict[str, str] = {}
    distance = {start: 1}
    queue = deque([start])
    used = 0
    while queue:
        id = queue.popleft()
        if limit is not None and distance[id] >= limit:
            break
        for need in needs[id]:
            used += 1
            if need == start:
                return _way(start, id, came_from), used
            if need in needs and need not in distance:
                distance[need], came_from[need] = distance[id] + 1, id
                queue.append(need)
    return None, used


def _way(start: str, end: str, came_from: Mapping[str, str]) -> tuple[str, ...]:
    way = [end]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    return tuple(reversed(way))


def _any_cycle(left: Needs) -> tuple[str, ...] | None:
    """Following needs inside `left`, where everything needs something, must come round."""
    way: dict[str, None] = {}
    id = next(iter(left), None)
    while id is not None and id not in way:
        way[id] = None
        id = next((need for need in left[id] if need in left), None)
    if id is None:
        return None
    ids = tuple(way)
    return ids[ids.index(id) :]


def _remove(start: str, left: dict[str, tuple[str, ...]]) -> int:
    """Takes `start` out, in place, and what then needs nothing that is left; tells how many edges it saw."""
    sources: dict[str, list[str]] = {}
    for id, targets in left.items():
        for target in targets:
            sources.setdefault(target, []).append(id)
    count = {id: sum(target in left for target in targets) for id, targets in left.items()}
    edges = sum(map(len, left.values()))
    gone = [start]
    del left[start]
    while gone:
        for source in sources.get(gone.pop(), ()):
            if source in left:
                count[source] -= 1
                if not count[source]:
                    del left[source]
                    gone.append(source)
    return edges


def _from_first(cycle: tuple[str, ...], needs: Needs) -> tuple[str, ...]:
    among = set(cycle)
    first = next(id for id in needs if id in among)
    turn = cycle.index(first)
    return cycle[turn:] + cycle[:turn]
