"""A layered layout: where each step stands, and which way the lines go.

Waves go from left to right. Between two columns there is a gap, in which lines are curves and nothing stands; within a
column they are level, in places of their own. So no line crosses a step, whatever the graph is.
"""

from collections.abc import Iterator, Sequence
from math import ceil, sqrt
from typing import NamedTuple

from stepwave.core.telling.layout.columns import KNOT, PASS, Grid, Link, make_grid
from stepwave.core.telling.layout.edges import Edges, edges_of
from stepwave.core.telling.layout.heights import Heights
from stepwave.core.telling.story import Drawn

KNOT_SIZE = 8.0
_BETWEEN_STEPS = 12.0
_BETWEEN_LINES = 6.0
_BETWEEN_BOTH = 10.0
_NARROW_GAP, _WIDE_GAP = 36.0, 150.0
_SLOPE = 0.16
"""Of the height that a line has to make up between two columns, so much is added to the gap."""
_HIGH_ENOUGH = 14
"""So many steps may always stand one above the other."""
_PROPORTION = 2.2
"""Times the square root of the number of steps: how many stand in one column at most. Found by looking at pictures."""


class Column(NamedTuple):
    x: float
    width: float


class Band(NamedTuple):
    """From `x` on, `width` wide: the columns of one wave."""

    x: float
    width: float
    wave: int


class Layout(NamedTuple):
    """Lengths are in pixels; `y` is the middle of a place, and columns start at 0.

    `kinds`, `column_of` and `y` are those of the places: the first of them are the steps, in their order, then knots
    (KNOT) and places where edges pass (PASS). A line between two places leads from the right edge of the one's column,
    or of its knot, to the left edge of the other's. `implied` edges are not drawn as they follow from others, `dropped`
    ones as there is no room.
    """

    kinds: tuple[int, ...]
    column_of: tuple[int, ...]
    y: tuple[float, ...]
    columns: tuple[Column, ...]
    links: tuple[Link, ...]
    bands: tuple[Band, ...]
    width: float
    height: float
    implied: int
    dropped: int


def lay_out(steps: Sequence[Drawn], widths: Sequence[float], height: float) -> Layout:
    """`widths` are those of the steps' boxes; every box is `height` high."""
    edges = edges_of(steps)
    highest = max(_HIGH_ENOUGH, ceil(_PROPORTION * sqrt(len(steps))))
    grid = make_grid(steps, edges, highest)
    heights = Heights(grid, lambda above, below: _gap(grid.kinds[above], grid.kinds[below], height))
    heights.find_order()
    heights.settle()
    return _measured(grid, edges, heights, widths, height)


def _gap(above: int, below: int, height: float) -> float:
    sizes = sum({PASS: 0.0, KNOT: KNOT_SIZE}.get(kind, height) for kind in (above, below))
    if above >= 0 and below >= 0:
        return sizes / 2 + _BETWEEN_STEPS
    return sizes / 2 + (_BETWEEN_LINES if above < 0 and below < 0 else _BETWEEN_BOTH)


def _measured(grid: Grid, edges: Edges, heights: Heights, widths: Sequence[float], height: float) -> Layout:
    column_of = [0] * len(grid.kinds)
    for number, places in enumerate(grid.columns):
        for place in places:
            column_of[place] = number
    y = [each + height / 2 for each in heights.y]
    columns = tuple(_columns(grid, column_of, y, widths))
    bottom = max(y, default=0.0) + height / 2
    return Layout(
        kinds=grid.kinds,
        column_of=tuple(column_of),
        y=tuple(y),
        columns=columns,
        links=grid.links,
        bands=tuple(_bands(grid, columns)),
        width=columns[-1].x + columns[-1].width if columns else 0.0,
        height=bottom if columns else 0.0,
        implied=edges.implied,
        dropped=grid.dropped,
    )


def _columns(grid: Grid, column_of: Sequence[int], y: Sequence[float], widths: Sequence[float]) -> Iterator[Column]:
    steepest = [0.0] * len(grid.columns)
    for link in grid.links:
        column = column_of[link.source]
        steepest[column] = max(steepest[column], abs(y[link.target] - y[link.source]))
    x = 0.0
    for number, places in enumerate(grid.columns):
        kinds = [grid.kinds[place] for place in places]
        width = max((widths[kind] for kind in kinds if kind >= 0), default=KNOT_SIZE)
        yield Column(x, width)
        x += width + min(_NARROW_GAP + _SLOPE * steepest[number], _WIDE_GAP)


def _bands(grid: Grid, columns: Sequence[Column]) -> Iterator[Band]:
    """A knot belongs to no wave: it stands between two."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for number, places in enumerate(grid.columns):
        if any(grid.kinds[place] >= 0 for place in places):
            first.setdefault(grid.wave_of[number], number)
            last[grid.wave_of[number]] = number
    for wave, number in first.items():
        x = columns[number].x
        yield Band(x, columns[last[wave]].x + columns[last[wave]].width - x, wave)
