"""Where steps stand and lines go: no line crosses a step, and whoever follows the lines finds the real edges."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwave.core.model import StepType
from stepwave.core.telling.layout import columns
from stepwave.core.telling.layout.columns import KNOT, PASS
from stepwave.core.telling.layout.edges import edges_of
from stepwave.core.telling.layout.heights import nearest
from stepwave.core.telling.layout.layout import KNOT_SIZE, Layout, lay_out
from stepwave.core.telling.story import Drawn
from tests.core.stories import drawn

HEIGHT = 44.0


def waved(needs: Sequence[Sequence[int]]) -> list[Drawn]:
    """Steps 0, 1 …, each with the numbers of those that it needs, in the waves that a plan would give them."""
    waves: list[int] = []
    for mine in needs:
        waves.append(1 + max((waves[need] for need in mine), default=-1))
    return [drawn(f"s{n}", *(f"s{m}" for m in mine), wave=waves[n]) for n, mine in enumerate(needs)]


def laid(steps: Sequence[Drawn]) -> Layout:
    return lay_out(steps, [100.0 + 10 * (n % 3) for n in range(len(steps))], HEIGHT)


def real_edges(steps: Sequence[Drawn]) -> set[tuple[int, int]]:
    number = {step.id: n for n, step in enumerate(steps)}
    needs = {(number[need], n) for n, step in enumerate(steps) for need in step.needs if need in number}
    return needs | {(number[step.after], n) for n, step in enumerate(steps) if step.after in number}


def followed(layout: Layout) -> set[tuple[int, int]]:
    """Every step and every step that its lines lead to, through knots and places that are only passed."""
    leaving: dict[int, list[int]] = {}
    for link in layout.links:
        leaving.setdefault(link.source, []).append(link.target)
    found = set()
    for start, kind in enumerate(layout.kinds):
        waiting = list(leaving.get(start, ())) if kind >= 0 else []
        while waiting:
            place = waiting.pop()
            if layout.kinds[place] >= 0:
                found.add((start, place))
            else:
                waiting += leaving.get(place, ())
    return found


def reach(edges: set[tuple[int, int]], count: int) -> list[set[int]]:
    above: list[set[int]] = [set() for _ in range(count)]
    for source, target in sorted(edges, key=lambda edge: edge[1]):
        above[target] |= above[source] | {source}
    return above


graphs = st.integers(0, 24).flatmap(
    lambda n: st.tuples(*(st.sets(st.integers(0, max(k - 1, 0)), max_size=min(k, 5)) for k in range(n)))
).map(lambda needs: waved([sorted(mine) if n else [] for n, mine in enumerate(needs)]))  # fmt: skip


# --- what holds for every graph --------------------------------------------------------------------------------------


@settings(max_examples=200)
@given(graphs)
def test_lines_are_the_real_edges(steps: list[Drawn]) -> None:
    layout = laid(steps)
    assert layout.dropped == 0
    if layout.implied == 0:
        assert followed(layout) == real_edges(steps)
    else:
        assert followed(layout) < real_edges(steps)
        assert reach(followed(layout), len(steps)) == reach(real_edges(steps), len(steps))


@settings(max_examples=200)
@given(graphs)
def test_nothing_overlaps_and_no_line_crosses_a_step(steps: list[Drawn]) -> None:
    layout = laid(steps)
    sizes = {PASS: 0.0, KNOT: KNOT_SIZE}
    for column in range(len(layout.columns)):
        places = sorted(
            (p for p in range(len(layout.kinds)) if layout.column_of[p] == column), key=lambda p: layout.y[p]
        )
        for above, below in pairwise(places):
            room = layout.y[below] - layout.y[above]
            assert room >= sum(sizes.get(layout.kinds[p], HEIGHT) for p in (above, below)) / 2 + 5
    for before, after in pairwise(layout.columns):
        assert after.x >= before.x + before.width + 30
    for link in layout.links:  # in a gap nothing stands, and every line ends in the next column
        assert layout.column_of[link.target] == layout.column_of[link.source] + 1


@given(graphs)
def test_all_is_inside_and_wide_enough(steps: list[Drawn]) -> None:
    layout = laid(steps)
    for place, kind in enumerate(layout.kinds):
        half = HEIGHT / 2 if kind >= 0 else 0.0
        assert layout.y[place] - half >= -0.01
        assert layout.y[place] + half <= layout.height + 0.01
        if kind >= 0:
            assert layout.columns[layout.column_of[place]].width >= 100 + 10 * (kind % 3)
    assert [kind for kind in layout.kinds if kind >= 0] == list(range(len(steps)))


@given(graphs)
def test_a_step_is_right_of_what_it_needs_and_in_the_band_of_its_wave(steps: list[Drawn]) -> None:
    layout = laid(steps)
    for source, target in real_edges(steps):
        assert layout.column_of[source] < layout.column_of[target]
    bands = {band.wave: band for band in layout.bands}
    for number, step in enumerate(steps):
        column, band = layout.columns[layout.column_of[number]], bands[step.wave]
        assert band.x <= column.x <= column.x + column.width <= band.x + band.width


@given(graphs)
def test_the_same_steps_are_drawn_the_same_way(steps: list[Drawn]) -> None:
    assert laid(steps) == laid(list(steps))


# --- crowded graphs --------------------------------------------------------------------------------------------------


def test_a_high_wave_becomes_several_columns() -> None:
    layout = laid([drawn(f"s{n}") for n in range(400)])
    assert len(layout.columns) > 5
    assert len(layout.bands) == 1
    assert layout.height < 60 * HEIGHT
    assert 0.5 < layout.width / layout.height < 3


def test_phases_that_need_all_of_the_one_before_are_tied_in_knots() -> None:
    steps = [drawn(f"{p}-{n}", *(f"{p - 1}-{m}" for m in range(10) if p), wave=p) for p in range(3) for n in range(10)]
    edges = edges_of(steps)
    assert len(edges.knots) == 2
    assert edges.single == ()
    layout = laid(steps)
    assert len(layout.links) == 40  # not 200
    assert followed(layout) == real_edges(steps)


def test_two_by_two_are_four_lines_and_no_knot() -> None:
    edges = edges_of([drawn("a"), drawn("b"), drawn("c", "a", "b", wave=1), drawn("d", "a", "b", wave=1)])
    assert edges.knots == ()
    assert len(edges.single) == 4


def test_of_very_many_edges_those_that_others_imply_are_left_out() -> None:
    steps = waved([list(range(n)) for n in range(60)])
    layout = laid(steps)
    assert layout.implied == 60 * 59 // 2 - 59
    assert followed(layout) == {(n, n + 1) for n in range(59)}


def test_few_edges_are_all_drawn() -> None:
    layout = laid(waved([[], [0], [0, 1], [0, 1, 2]]))
    assert layout.implied == 0
    assert len(followed(layout)) == 6


def test_an_answer_is_kept_even_where_others_imply_its_edge() -> None:
    ids = [f"s{n}" for n in range(40)]
    all = [drawn(id, *ids[:n], wave=n) for n, id in enumerate(ids)]
    all[0] = all[0]._replace(type=StepType.CONDITION, on_true=("s39",))
    edges = edges_of(all)
    assert [edge for edge in edges.single if edge.answer] == [(0, 39, "true", False)]


def test_the_lines_of_one_step_share_their_way() -> None:
    fan = [drawn("a"), drawn("m", "a", wave=1), *(drawn(f"c{n}", "a", wave=2) for n in range(6))]
    assert laid(fan).kinds.count(PASS) == 1


def test_what_is_too_long_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "MAX_PASSES", 3)
    steps = waved([[], [0], [1], [2], [3], [4, 0], [5, 1]])
    layout = laid(steps)
    assert layout.dropped == 2
    assert followed(layout) == {(n, n + 1) for n in range(6)}


# --- what is odd -----------------------------------------------------------------------------------------------------


def test_nothing_at_all() -> None:
    layout = laid([])
    assert (layout.kinds, layout.links, layout.width, layout.height) == ((), (), 0.0, 0.0)


def test_parts_stand_right_of_the_step_that_they_come_from() -> None:
    steps = [
        drawn("whole"),
        drawn("whole[1]", after="whole"),
        drawn("whole[2]", after="whole"),
        drawn("z", "whole", wave=1),
    ]
    layout = laid(steps)
    assert [layout.column_of[n] for n in range(4)] == [0, 1, 1, 2]
    assert {(link.source, link.target) for link in layout.links if link.became} == {(0, 1), (0, 2)}
    assert len(layout.bands) == 2


def test_a_need_that_is_not_there_and_a_circle_do_no_harm() -> None:
    steps = [drawn("a", "gone"), drawn("b", "c", wave=1), drawn("c", "b", wave=1)]
    layout = laid(steps)
    assert followed(layout) == {(1, 2)}
    assert layout.dropped == 1


def test_waves_that_contradict_the_needs_are_not_believed() -> None:
    layout = laid([drawn("a", wave=5), drawn("b", "a", wave=5), drawn("c", "b", wave=0)])
    assert layout.column_of[0] < layout.column_of[1]


# --- heights ---------------------------------------------------------------------------------------------------------

numbers = st.integers(-50, 50).map(float)


@given(
    st.lists(
        st.tuples(numbers, st.integers(1, 6).map(float), st.integers(0, 9).map(float), numbers), min_size=1, max_size=7
    )
)
def test_no_other_heights_are_nearer(rows: list[tuple[float, float, float, float]]) -> None:
    wanted, weights, distances = [r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows[1:]]
    found = nearest(wanted, weights, distances, 60.0)
    assert all(b - a >= d - 1e-9 for (a, b), d in zip(pairwise(found), distances, strict=True))
    assert found[0] >= -60 - 1e-9
    assert found[-1] <= 60 + 1e-9

    def cost(heights: Sequence[float]) -> float:
        return sum(w * (y - want) ** 2 for y, want, w in zip(heights, wanted, weights, strict=True))

    other = [max(-60.0, rows[0][3])]  # any heights that keep the distances
    for row, distance in zip(rows[1:], distances, strict=True):
        other.append(max(other[-1] + distance, row[3]))
    if other[-1] <= 60:
        assert cost(found) <= cost(other) + 1e-6


def test_the_fewest_crossings_are_found_for_a_ladder_that_is_twisted() -> None:
    steps = [drawn(f"a{n}") for n in range(6)] + [drawn(f"b{5 - n}", f"a{5 - n}", wave=1) for n in range(6)]
    layout = laid(steps)
    order = {id: layout.y[n] for n, id in enumerate(step.id for step in steps)}
    assert [order[f"a{n}"] for n in range(6)] == [order[f"b{n}"] for n in range(6)]
