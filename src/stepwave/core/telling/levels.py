"""How much of every pool is held, from moment to moment; the slots are the pool without a name."""

from collections.abc import Iterable, Mapping
from heapq import heappop, heappush

from stepwave.core.telling.story import PoolStory


class Levels:
    """`limits` are the units of each pool; those of other pools are not counted."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        self._limits = limits
        self._held = dict.fromkeys(limits, 0)
        self._levels: dict[str, list[tuple[float, int]]] = {name: [(0.0, 0)] for name in limits}
        self._free: list[int] = []
        self._used = 0

    def take(self, at: float, units: Iterable[tuple[str, int]]) -> int:
        """An attempt begins; the number of its slot."""
        self._change(at, units, 1)
        if self._free:
            return heappop(self._free)
        self._used += 1
        return self._used - 1

    def give_back(self, at: float, slot: int, units: Iterable[tuple[str, int]]) -> None:
        heappush(self._free, slot)
        self._change(at, units, -1)

    def _change(self, at: float, units: Iterable[tuple[str, int]], sign: int) -> None:
        for name, count in (("", 1), *units):
            if name in self._held:
                self._held[name] += sign * count
                self._note(at, self._held[name], self._levels[name])

    @staticmethod
    def _note(at: float, held: int, levels: list[tuple[float, int]]) -> None:
        """What was held for no time at all is not told."""
        if levels[-1][0] == at:
            levels.pop()
        if not levels or levels[-1][1] != held:
            levels.append((at, held))

    def stories(self) -> tuple[PoolStory, ...]:
        """The slots come first."""
        return tuple(PoolStory(name, limit, tuple(self._levels[name])) for name, limit in self._limits.items())
