"""In which order places stand in their column, and how high.

The order is found by the barycenter method (Sugiyama, Tagawa and Toda, "Methods for visual understanding of
hierarchical system structures", 1981): column by column, forwards and backwards, each place goes to the mean of those
that it is linked to, and the order with the fewest crossings is kept. The heights then are those that lie nearest to
such means without changing the order or coming too near: an isotonic regression, solved by pooling adjacent violators.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from itertools import groupby, pairwise

from stepwave.core.telling.layout.columns import Grid

Gap = Callable[[int, int], float]
"""How far apart two places must be that stand one above the other, from middle to middle."""
_ROUNDS = 6
_PATIENCE = 2
"""Rounds without an improvement after which the order stays as it is."""
_STRAIGHT = 6.0
"""How much more a line between two places that are only passed weighs: long edges become straight."""

_SPARE = 1.2
"""So many times as high as its highest column a drawing may be: straight lines would make it endless."""


class Heights:
    """The places with those to their left and right; `y` is the middle of each."""

    def __init__(self, grid: Grid, gap: Gap) -> None:
        self.columns = [list(column) for column in grid.columns]
        self.y = [0.0] * len(grid.kinds)
        self._gap = gap
        self._reach = 0.0
        self._passed = [kind < 0 for kind in grid.kinds]
        self._left: list[list[int]] = [[] for _ in grid.kinds]
        self._right: list[list[int]] = [[] for _ in grid.kinds]
        for link in grid.links:
            self._left[link.target].append(link.source)
            self._right[link.source].append(link.target)

    # --- order

    def find_order(self) -> None:
        """Sorts the columns."""
        for column in range(len(self.columns)):
            self._sort(column, self._left)
        best, fewest, without = self._copy(), self._crossings(), 0
        for _ in range(_ROUNDS if len(self.y) < 20_000 else 2):
            if not fewest or without >= _PATIENCE:
                break
            for column in reversed(range(len(self.columns) - 1)):
                self._sort(column, self._right)
            for column in range(1, len(self.columns)):
                self._sort(column, self._left)
            now = self._crossings()
            without = 0 if now < fewest else without + 1
            if now < fewest:
                best, fewest = self._copy(), now
        self.columns = best
        for places in self.columns:
            self._stack(places)

    def _sort(self, column: int, beside: Sequence[Sequence[int]]) -> None:
        places = self.columns[column]
        self._stack(places)
        wanted = {place: self._mean(place, beside[place]) for place in places}
        places.sort(key=lambda place: wanted[place])
        if any(self._passed[place] for place in places):
            self.columns[column] = [
                place
                for _, same in groupby(places, lambda place: wanted[place])
                for place in self._lines_inside([*same])
            ]
        self._stack(self.columns[column])

    def _lines_inside(self, same: list[int]) -> list[int]:
        """Of places that want to be at one height the lines go through the middle: at an edge they would pull all of
        the others away from it, in every column a bit further."""
        lines = [place for place in same if self._passed[place]]
        if not lines or len(lines) == len(same):
            return same
        steps = [place for place in same if not self._passed[place]]
        half = len(steps) // 2
        return [*steps[:half], *lines, *steps[half:]]

    def _mean(self, place: int, beside: Sequence[int]) -> float:
        return sum(self.y[other] for other in beside) / len(beside) if beside else self.y[place]

    def _stack(self, places: Sequence[int]) -> None:
        """As close as they may stand, around 0."""
        if not places:
            return
        at = 0.0
        self.y[places[0]] = at
        for above, below in pairwise(places):
            at += self._gap(above, below)
            self.y[below] = at
        for place in places:
            self.y[place] -= at / 2

    def _copy(self) -> list[list[int]]:
        return [list(column) for column in self.columns]

    def _crossings(self) -> int:
        """How many lines cross, by counting in each gap the ends above which a later line ends higher."""
        count = 0
        for column in self.columns[:-1]:
            ends: list[float] = []
            for place in column:
                mine = sorted(self.y[other] for other in self._right[place])
                count += sum(len(ends) - bisect_left(ends, end + 1e-9) for end in mine)
                for end in mine:
                    insort(ends, end)
        return count

    # --- heights

    def settle(self) -> None:
        """Gives every place its height, the topmost of them 0."""
        rounds = _ROUNDS if len(self.y) < 20_000 else 3
        highest = max((abs(self.y[column[0]]) for column in self.columns if column), default=0.0)
        self._reach = highest * _SPARE + 1.0
        for _ in range(rounds):
            for column in range(1, len(self.columns)):
                self._pull(column, (self._left,))
            for column in reversed(range(len(self.columns) - 1)):
                self._pull(column, (self._right,))
        for _ in range(2):
            for column in range(len(self.columns)):
                self._pull(column, (self._left, self._right))
        top = min(self.y, default=0.0)
        self.y = [y - top for y in self.y]

    def _pull(self, column: int, sides: Sequence[Sequence[Sequence[int]]]) -> None:
        places = self.columns[column]
        wanted, weights = [], []
        for place in places:
            pull = weight = 0.0
            for side in sides:
                for other in side[place]:
                    w = _STRAIGHT if self._passed[place] and self._passed[other] else 1.0
                    pull += w * self.y[other]
                    weight += w
            wanted.append(pull / weight if weight else self.y[place])
            weights.append(weight or 0.2)
        distances = [self._gap(above, below) for above, below in pairwise(places)]
        for place, y in zip(places, nearest(wanted, weights, distances, self._reach), strict=True):
            self.y[place] = y


def nearest(wanted: Sequence[float], weights: Sequence[float], distances: Sequence[float], reach: float) -> list[float]:
    """Heights between -`reach` and `reach`, with at least these distances between neighbours, with the least weighted
    sum of squared differences from those that are wanted. One distance fewer than heights."""
    offsets = [0.0]
    for distance in distances:
        offsets.append(offsets[-1] + distance)
    blocks: list[tuple[float, float, int]] = []  # mean, weight, how many
    for want, offset, weight in zip(wanted, offsets, weights, strict=False):
        block = want - offset, weight, 1
        while blocks and blocks[-1][0] >= block[0]:
            mean, heavy, many = blocks.pop()
            whole = heavy + block[1]
            block = (mean * heavy + block[0] * block[1]) / whole, whole, many + block[2]
        blocks.append(block)
    # The bounds of an isotonic regression are kept by cutting off what lies beyond them.
    means = [min(max(mean, -reach), reach - offsets[-1]) for mean, _, many in blocks for _ in range(many)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=False)]
