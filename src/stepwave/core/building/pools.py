"""What a step takes of the pools, and those pools that are not declared: they come of what steps say."""

from collections.abc import Mapping as Map
from typing import TYPE_CHECKING

from stepwave.core.building.fields import Found, Reading, one, quoted, text
from stepwave.core.building.fields_many import claims

if TYPE_CHECKING:
    from stepwave.core.building.step import Draft, Ties


def conflict_pool(r: Reading, found: Found) -> str | None:
    """The pool of one unit that a `conflict_group` stands for."""
    if "conflictGroup" not in found:
        return None
    group = one(r, found, "conflictGroup", text)
    return f"conflict:{group}" if group else None


def fan_pool(draft: "Draft") -> str | None:
    """The pool that bounds how many steps of a `matrix` or `forEach` run at a time."""
    if "maxConcurrency" not in draft.found or not (draft.family or draft.for_each is not None):
        return None
    return f"fan-out:{draft.family or draft.id}"


def resources_of(r: Reading, draft: "Draft", ties: "Ties", pools: Map[str, int]) -> tuple[tuple[str, int], ...]:
    """Names of pools and units. `pools` are all that there are."""
    taken: dict[str, int] = {}
    for name, units, span in one(r, draft.found, "resource", claims) or ():
        if name not in pools:
            help = r.did_you_mean(name, pools) or "declare it under `parallel.resources`"
            r.error("unknown-resource", f"there is no resource {quoted(name)}", span, help)
            continue
        taken[name] = taken.get(name, 0) + units
        if taken[name] > pools[name]:
            message = f"the step takes {taken[name]} of {quoted(name)}, which has only {pools[name]}"
            r.error("out-of-range", message, span)
    for pool in (conflict_pool(r, draft.found), draft.defaults.pool, *ties.pools, fan_pool(draft)):
        if pool and pool in pools:
            taken.setdefault(pool, 1)
    return tuple(taken.items())
