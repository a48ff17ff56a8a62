"""The time that no schedule can beat: how much a run could still gain.

    bound = max(longest chain of needs, seconds of all steps / slots, for each pool: unit-seconds / units)

No schedule ends before its longest chain has, nor before the work that there is has been done with all slots busy. Who
starts a ready step as soon as a slot is free, as stepwave does, needs at most 2 - 1/slots times as long, where there
are no pools: R. L. Graham, "Bounds on Multiprocessing Timing Anomalies", SIAM Journal on Applied Mathematics 17 (1969).
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from stepwave.core.model import STAGES, Stage

SLOTS = ""
"""How the slots are called among the pools."""


class Task(NamedTuple):
    """A step and how long it takes, in seconds. `alone`: nothing else runs then. `slots` 0: it has no process."""

    id: str
    seconds: float
    needs: tuple[str, ...] = ()
    resources: tuple[tuple[str, int], ...] = ()
    stage: Stage = Stage.MAIN
    alone: bool = False
    slots: int = 1
    max_concurrency: int | None = None
    priority: int = 0


class Bound(NamedTuple):
    """In seconds. `path` is the longest chain and `path_s` how long it takes; the stages of a run follow each other.
    `loads`: by the name of the pool, the slots first."""

    path_s: float
    path: tuple[str, ...]
    loads: tuple[tuple[str, float], ...]

    @property
    def seconds(self) -> float:
        return max([self.path_s, *(load_s for _, load_s in self.loads)])

    @property
    def tightest(self) -> tuple[str, float]:
        """The pool that has most to do."""
        return max(self.loads, key=lambda load: load[1])


def lower_bound(tasks: Iterable[Task], slots: int, pools: Mapping[str, int]) -> Bound:
    """`tasks` in an order in which each comes after all that it needs; needs that are not among them count nothing."""
    work_s: dict[str, float] = {SLOTS: 0.0, **dict.fromkeys(pools, 0.0)}
    ends: dict[str, float] = {}
    before: dict[str, str | None] = {}
    last: dict[Stage, str] = {}
    for task in tasks:
        longest = max((need for need in task.needs if need in ends), key=ends.__getitem__, default=None)
        before[task.id] = longest
        ends[task.id] = task.seconds + (ends[longest] if longest is not None else 0.0)
        if task.stage not in last or ends[task.id] > ends[last[task.stage]]:
            last[task.stage] = task.id
        work_s[SLOTS] += task.seconds * (slots if task.alone else task.slots)
        for pool, units in task.resources:
            if task.slots:
                work_s[pool] += task.seconds * units
    path = tuple(id for stage in STAGES if stage in last for id in _chain(last[stage], before))
    loads = ((name, held_s / (pools[name] if name else slots)) for name, held_s in work_s.items())
    return Bound(sum(ends[id] for id in last.values()), path, tuple(loads))


def _chain(end: str, before: Mapping[str, str | None]) -> list[str]:
    chain: list[str] = []
    at: str | None = end
    while at is not None:
        chain.append(at)
        at = before[at]
    return chain[::-1]
