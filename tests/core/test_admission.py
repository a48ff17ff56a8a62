"""Who starts next: the same as a plain search through all that wait would say, at a fraction of the comparisons."""

from hypothesis import given
from hypothesis import strategies as st

from stepwave.core.model import Step
from stepwave.core.running.admission import PATIENCE, Admission
from stepwave.core.running.graph import make_plan
from tests.core.world import step, workflow

POOLS = {"a": 1, "b": 2, "c": 3}


def admission(steps: list[Step], capacity: int, pools: dict[str, int]) -> Admission:
    return Admission(make_plan(workflow(*steps, pools=pools), cpus=4), capacity)


class Counted(int):
    """A priority that counts how often it is compared."""

    looks = 0

    def __eq__(self, other: object) -> bool:
        Counted.looks += 1
        return int(self) == other

    __hash__ = int.__hash__


def test_a_pool_for_every_step_costs_no_look_at_every_step() -> None:
    """With as many lines as steps a search through all lines for each start compares millions of times."""
    count = 2000
    pools = {f"own-{n}": 1 for n in range(count)}
    steps = [step(f"s{n}", resources=((f"own-{n}", 1),), priority=Counted(0)) for n in range(count)]
    door = admission(steps, 1, pools)
    for one in steps:
        door.add(one)
    Counted.looks = 0
    for one in steps:
        assert door.take() == one.id
        door.give_back(one.id)
    assert Counted.looks < 50 * count


steps_that_ask = st.builds(
    lambda priority, units, exclusive: (priority, tuple(units.items()), exclusive),
    st.integers(0, 3),
    st.dictionaries(st.sampled_from(sorted(POOLS)), st.just(1), max_size=2),
    st.sampled_from([False] * 6 + [True]),
)
moves = st.lists(st.sampled_from(["add", "take", "take", "end", "remove"]), max_size=60)


@given(st.lists(steps_that_ask, min_size=1, max_size=12), st.integers(1, 4), moves)
def test_it_is_the_one_that_a_plain_search_finds(
    asked: list[tuple[int, tuple[tuple[str, int], ...], bool]], capacity: int, moves: list[str]
) -> None:
    steps = [step(f"s{n}", priority=p, resources=units, exclusive=alone) for n, (p, units, alone) in enumerate(asked)]
    door = admission(steps, capacity, POOLS)
    outside, waiting, running = list(steps), dict[str, int](), list[str]()
    by_id = {one.id: one for one in steps}
    for move in moves:
        if move == "add" and outside:
            one = outside.pop()
            door.add(one)
            waiting[one.id] = door.launches
        elif move == "remove" and waiting:
            id = min(waiting)
            door.remove(id)
            del waiting[id]
        elif move == "end" and running:
            door.give_back(running.pop(0))
        elif move == "take":
            expected = _searched(door, waiting, by_id)
            assert door.take() == expected
            if expected is not None:
                del waiting[expected]
                running.append(expected)
        assert door.waiting == len(waiting)


def _searched(door: Admission, waiting: dict[str, int], by_id: dict[str, Step]) -> str | None:
    """Rules 1 to 3, by looking at everyone in order; only the first of those who ask for the same counts."""
    kept_back: set[str] = set()
    seen: set[tuple[object, bool]] = set()
    for id in sorted(waiting, key=lambda id: (by_id[id].priority, int(id[1:]))):
        one = by_id[id]
        if (one.resources, one.exclusive) in seen:
            continue
        seen.add((one.resources, one.exclusive))
        pools = [pool for pool, _ in one.resources]
        if door.why_waiting(id) == "it is next in line" and kept_back.isdisjoint(pools):
            return id
        if door.launches - waiting[id] > PATIENCE * door.capacity:
            if one.exclusive:
                return None
            kept_back.update(pools)
    return None
