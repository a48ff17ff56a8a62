"""Cycles and what is upstream: small graphs by value, any graph by property, huge ones in bounded time."""

from hypothesis import given
from hypothesis import strategies as st

from stepwave.core.building.cycles import find_cycle, in_order, not_upstream
from tests.core.build_texts import built, codes

Graph = dict[str, tuple[str, ...]]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    ids = [str(n) for n in range(draw(st.integers(0, 9)))]
    pairs = draw(st.lists(st.tuples(st.sampled_from(ids), st.sampled_from(ids)), max_size=20)) if ids else []
    return {id: tuple(need for other, need in pairs if other == id) for id in ids}


def shortest_by_force(needs: Graph) -> int | None:
    """Length of a shortest cycle, from the walks of 1, 2, 3 … edges."""
    reach = {id: set(needs[id]) for id in needs}
    for length in range(1, len(needs) + 1):
        if any(id in reach[id] for id in needs):
            return length
        reach = {id: {far for near in reach[id] for far in needs[near]} for id in needs}
    return None


@given(graphs())
def test_a_found_cycle_is_one_and_a_shortest(needs: Graph) -> None:
    cycle = find_cycle(needs)
    assert (None if cycle is None else len(cycle)) == shortest_by_force(needs)
    if cycle is not None:
        assert all(need in needs[id] for id, need in zip(cycle, (*cycle[1:], cycle[0]), strict=True))
        assert cycle[0] == next(id for id in needs if id in cycle)
    assert (len(in_order(needs)) == len(needs)) == (cycle is None)


@given(graphs(), st.data())
def test_upstream_is_what_can_be_reached(needs: Graph, data: st.DataObject) -> None:
    ahead = {id: tuple(n for n in needs[id] if int(n) < int(id)) for id in needs}  # no cycles
    pairs = data.draw(st.lists(st.tuples(st.sampled_from(list(ahead)), st.sampled_from(list(ahead))))) if ahead else []
    above: dict[str, set[str]] = {}
    for id, targets in ahead.items():
        above[id] = set(targets).union(*(above[need] for need in targets))
    assert not_upstream(ahead, pairs) == {(id, target) for id, target in pairs if target not in above[id]}


def test_unknown_ids_are_passed_over() -> None:
    assert find_cycle({"a": ("zzz",), "b": ("a",)}) is None
    assert find_cycle({}) is None


def test_a_ring_of_ten_thousand() -> None:
    size = 10_000
    cycle = find_cycle({str(n): (str((n + 1) % size),) for n in range(size)})
    assert cycle is not None
    assert (len(cycle), cycle[0], cycle[-1]) == (size, "0", str(size - 1))


def test_a_huge_tangle_still_gives_a_cycle() -> None:
    size = 3000
    needs = {str(n): tuple(str((n + k) % size) for k in (1, 7, 31, 211)) for n in range(size)}
    cycle = find_cycle(needs)
    assert cycle is not None
    assert all(need in needs[id] for id, need in zip(cycle, (*cycle[1:], cycle[0]), strict=True))


def test_many_bridges_between_two_rings_are_bounded() -> None:
    size = 5000
    chain = {f"c{n}": (f"c{n + 1}",) for n in range(size)}
    needs = {**chain, f"c{size}": ("x",), "x": ("y",), "y": ("x",), "p": ("q", "c0"), "q": ("p",)}
    assert find_cycle(needs) == ("x", "y")


def test_ten_thousand_steps_in_a_chain_that_look_back() -> None:
    steps = [{"id": f"s{n}", "type": "noop", "needs": [f"s{n - 1}"] if n else []} for n in range(10_000)]
    steps.append({"id": "last", "run": "echo {{steps.s0.result}} {{steps.other.result}}", "needs": ["s9999"]})
    steps.append({"id": "other", "run": "x"})
    workflow, found = built({"steps": steps})
    assert workflow is not None
    assert len(workflow.steps) == 10_002
    assert [d.code for d in found] == ["not-upstream"]


def test_references_through_several_steps_are_upstream() -> None:
    steps = [
        {"id": "a", "run": "x"},
        {"id": "b", "run": "x", "needs": "a"},
        {"id": "c", "run": "echo {{steps.a.stdout}} {{a.stdout}}", "needs": "b", "condition": "steps.a.success"},
    ]
    assert codes({"steps": steps}) == []
    assert codes({"steps": [*steps[:2], {**steps[2], "needs": []}]}) == ["not-upstream"]


def test_two_wide_workstreams_do_not_make_a_million_edges() -> None:
    def stream(id: str, *needs: str) -> dict[str, object]:
        return {"id": id, "depends_on": list(needs), "steps": [{"id": f"s{n}", "type": "noop"} for n in range(600)]}

    assert codes([stream("a"), stream("b", "a")]) == ["too-many-edges"]
