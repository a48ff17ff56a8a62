"""Which steps can run at the same time: all but those that the order, a pool, a stage or a branch keeps apart.

Steps are bits of whole numbers, so that a question about ten thousand of them is one operation.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from operator import or_

from stepwave.core.building.cycles import turned, upstream
from stepwave.core.model import Step

MAX_BITS = 800_000_000
"""Of all numbers together: 100 MB."""


def together(steps: Mapping[str, Step], pools: Mapping[str, int], ids: Sequence[str]) -> list[int] | None:
    """For each of `ids` the others of them that can run beside it: bit n stands for `ids[n]`. None: too many.

    `steps` are all that there are, free of cycles.
    """
    if len(steps) * len(ids) > MAX_BITS:
        return None
    bit_of = {id: 1 << n for n, id in enumerate(ids)}
    needs = {id: step.needs for id, step in steps.items()}
    before = upstream(needs, bit_of)
    after = upstream(turned(needs), bit_of)
    everyone = (1 << len(ids)) - 1
    apart = [before.get(id, 0) | after.get(id, 0) | bit_of[id] for id in ids]
    for masks in (_by_stage, _alone, _by_branch):
        for n, mask in enumerate(masks(steps, ids, everyone)):
            apart[n] |= mask
    _add_pools(apart, [steps[id] for id in ids], pools)
    return [everyone & ~mask for mask in apart]


def _by_stage(steps: Mapping[str, Step], ids: Sequence[str], everyone: int) -> list[int]:
    of_stage: dict[object, int] = {}
    for n, id in enumerate(ids):
        of_stage[steps[id].stage] = of_stage.get(steps[id].stage, 0) | 1 << n
    return [everyone & ~of_stage[steps[id].stage] for id in ids]


def _alone(steps: Mapping[str, Step], ids: Sequence[str], everyone: int) -> list[int]:
    alone = sum(1 << n for n, id in enumerate(ids) if steps[id].exclusive)
    return [everyone if steps[id].exclusive else alone for id in ids]


def _by_branch(steps: Mapping[str, Step], ids: Sequence[str], everyone: int) -> list[int]:
    """The two sides of a condition, as far as no other condition can choose the same step."""
    branches = [step.branch for step in steps.values() if step.branch is not None]
    if not branches:
        return [0] * len(ids)
    named: dict[str, int] = {}
    for branch in branches:
        for id in {*branch.on_true, *branch.on_false}:
            named[id] = named.get(id, 0) + 1
    index = {id: n for n, id in enumerate(ids) if named.get(id) == 1}
    apart = [0] * len(ids)
    for branch in branches:
        sides = [sum(1 << index[id] for id in set(side) if id in index) for side in (branch.on_true, branch.on_false)]
        for side, other in zip((branch.on_true, branch.on_false), reversed(sides), strict=True):
            for id in side:
                if id in index:
                    apart[index[id]] |= other
    return apart


def _add_pools(apart: list[int], steps: Sequence[Step], pools: Mapping[str, int]) -> None:
    """Of two that need more of a pool than there is, one waits."""
    holders: dict[str, dict[int, int]] = {}
    for n, step in enumerate(steps):
        for pool, units in step.resources:
            of_pool = holders.setdefault(pool, {})
            of_pool[units] = of_pool.get(units, 0) | 1 << n
    tables = {pool: _from_each_size(by_units) for pool, by_units in holders.items()}
    for n, step in enumerate(steps):
        for pool, units in step.resources:
            sizes, masks = tables[pool]
            first = bisect_right(sizes, pools.get(pool, 1) - units)
            if first < len(sizes):
                apart[n] |= masks[first]


def _from_each_size(by_units: Mapping[int, int]) -> tuple[list[int], list[int]]:
    """The sizes, and for each the bits of all that take as much or more."""
    sizes = sorted(by_units)
    return sizes, list(accumulate((by_units[units] for units in reversed(sizes)), or_))[::-1]
