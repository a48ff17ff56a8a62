"""In which column every step stands, and what stands in the columns between: knots, and where edges pass through.

Rule 1  A wave is one column, or several side by side where it is so high that nobody could look at it as a whole.
Rule 2  A line leads from one column to the next. An edge that goes further has a place in every column between, so no
        step can be in its way.
Rule 3  The edges of one step share their places as long as they go the same way: those that leave it, or those that
        reach it, whichever are more.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from stepwave.core.telling.layout.edges import Edge, Edges
from stepwave.core.telling.story import Drawn

MAX_PASSES = 60_000
"""Places where edges pass; the longest edges beyond that are not drawn."""

PASS = -1
KNOT = -2


class Link(NamedTuple):
    """From a place to one in the next column. `answer` stands at its end, where that is the step it leads to."""

    source: int
    target: int
    answer: str = ""
    became: bool = False


class Grid(NamedTuple):
    """`kinds`: of every place the step that stands there, or PASS, or KNOT; steps come first, in their own order.

    `columns` holds places, from left to right; `wave_of` the wave of each column. `dropped`: so many edges are not
    drawn, since they are too long, or lead backwards, which no plan has.
    """

    kinds: tuple[int, ...]
    columns: tuple[tuple[int, ...], ...]
    wave_of: tuple[int, ...]
    links: tuple[Link, ...]
    dropped: int


_Key = tuple[int, int]
"""Wave, and how many steps in it became one another: a part stands to the right of the step that it is a part of."""


def make_grid(steps: Sequence[Drawn], edges: Edges, highest: int) -> Grid:
    """`highest`: so many steps stand in one column at most."""
    keys = _keys(steps)
    groups: dict[_Key, list[int]] = {}
    for step in sorted(range(len(steps)), key=lambda step: keys[step]):
        groups.setdefault(keys[step], []).append(step)
    _sort_groups(groups, edges)
    return _Making(groups, [key[0] for key in keys], edges, highest).grid()


def _keys(steps: Sequence[Drawn]) -> list[_Key]:
    """A step is right of whatever it needs. Where the recorded waves say something else they are not believed."""
    number = {step.id: at for at, step in enumerate(steps)}
    keys: dict[int, _Key] = {}
    for at in sorted(range(len(steps)), key=lambda at: (steps[at].wave, bool(steps[at].after))):
        step = steps[at]
        before = [keys[number[id]][0] + 1 for id in step.needs if number.get(id) in keys]
        wave = max([step.wave, *before])
        parent = keys.get(number.get(step.after, -1))
        if parent is not None and parent[0] > wave:
            wave = parent[0]
        keys[at] = wave, parent[1] + 1 if parent is not None and parent[0] == wave else 0
    return [keys[at] for at in range(len(steps))]


def _sort_groups(groups: Mapping[_Key, list[int]], edges: Edges) -> None:
    """Each group roughly in the order of what it needs, so that a split into columns keeps together what belongs so."""
    needs: dict[int, list[int]] = {}
    for edge in edges.single:
        needs.setdefault(edge.target, []).append(edge.source)
    for knot in edges.knots:
        for target in knot.targets:
            needs[target] = [knot.sources[0], knot.sources[-1]]
    at: dict[int, float] = {}
    for steps in groups.values():
        rank = {step: _mean([at[need] for need in needs.get(step, ()) if need in at]) for step in steps}
        steps.sort(key=lambda step: rank[step])
        at |= {step: (place + 0.5) / len(steps) for place, step in enumerate(steps)}


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers) if numbers else 0.0


class _Making:
    """The columns while they are filled."""

    def __init__(self, groups: Mapping[_Key, list[int]], waves: Sequence[int], edges: Edges, highest: int) -> None:
        self.kinds = list(range(len(waves)))
        self.column_of = [0] * len(waves)
        self.columns: list[list[int]] = []
        self.wave_of: list[int] = []
        self.links: list[Link] = []
        self.dropped = 0
        self._linked: set[Link] = set()
        self._edges = edges
        self._knots = self._fill(groups, waves, highest)

    def _fill(self, groups: Mapping[_Key, list[int]], waves: Sequence[int], highest: int) -> list[int]:
        """Steps and knots; a knot stands right of the wave of its last source."""
        after: dict[int, list[int]] = {}
        for number, knot in enumerate(self._edges.knots):
            after.setdefault(max(waves[source] for source in knot.sources), []).append(number)
        places = [0] * len(self._edges.knots)
        keys = list(groups)
        for at, (wave, depth) in enumerate(keys):
            self._fill_group(groups[wave, depth], wave, highest)
            if at + 1 == len(keys) or keys[at + 1][0] != wave:
                knots = after.get(wave, ())
                if knots:
                    self._open(wave)
                for number in knots:
                    places[number] = self._add(KNOT, len(self.columns) - 1)
        return places

    def _fill_group(self, steps: Sequence[int], wave: int, highest: int) -> None:
        """Row by row, so that what stands side by side is near in the order."""
        wide = -(-len(steps) // highest)
        first = len(self.columns)
        for _ in range(wide):
            self._open(wave)
        for number, step in enumerate(steps):
            column = first + number % wide
            self.columns[column].append(step)
            self.column_of[step] = column

    def _open(self, wave: int) -> None:
        self.columns.append([])
        self.wave_of.append(wave)

    def _add(self, kind: int, column: int) -> int:
        self.kinds.append(kind)
        self.column_of.append(column)
        self.columns[column].append(len(self.kinds) - 1)
        return len(self.kinds) - 1

    def grid(self) -> Grid:
        wanted = list(self._edges.single)
        for place, knot in zip(self._knots, self._edges.knots, strict=True):
            wanted += [Edge(source, place) for source in knot.sources]
            wanted += [Edge(place, target) for target in knot.targets]
        self._lead(wanted)
        columns = tuple(map(tuple, self.columns))
        return Grid(tuple(self.kinds), columns, tuple(self.wave_of), tuple(self.links), self.dropped)

    def _lead(self, edges: Sequence[Edge]) -> None:
        """Shortest first: where there are too many places it is the longest edges that go without."""
        leaving, reaching = Counter(edge.source for edge in edges), Counter(edge.target for edge in edges)
        span = {edge: self.column_of[edge.target] - self.column_of[edge.source] for edge in edges}
        passes: dict[tuple[bool, int, int, str, bool], int] = {}
        for edge in sorted(edges, key=lambda edge: span[edge]):
            fits = len(passes) + span[edge] - 1 <= MAX_PASSES
            if span[edge] < 1 or not fits:
                self.dropped += 1
                continue
            outwards = leaving[edge.source] >= reaching[edge.target]
            end = edge.source if outwards else edge.target
            self._lead_one(edge, (outwards, end, edge.answer, edge.became), passes)

    def _lead_one(
        self, edge: Edge, bundle: tuple[bool, int, str, bool], passes: dict[tuple[bool, int, int, str, bool], int]
    ) -> None:
        outwards, end, answer, became = bundle
        chain = [edge.source]
        for column in range(self.column_of[edge.source] + 1, self.column_of[edge.target]):
            key = outwards, end, column, answer, became
            if key not in passes:
                passes[key] = self._add(PASS, column)
            chain.append(passes[key])
        chain.append(edge.target)
        for source, target in pairwise(chain):
            said = answer if target == edge.target else ""
            self._link(Link(source, target, said, became))

    def _link(self, link: Link) -> None:
        if link not in self._linked:
            self._linked.add(link)
            self.links.append(link)
