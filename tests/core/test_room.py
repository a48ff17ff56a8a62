"""Steps that wait for memory: who, for how long, and what is said of it."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwave.core.events import Exited, Measure, Measured, MemoryShort, WidthChanged
from stepwave.core.model import Limits, Retry, Step, StepType
from stepwave.core.plan import Learned
from stepwave.core.running.graph import informed, make_plan
from stepwave.core.running.pace import MEASURE_S
from stepwave.core.running.prepare import Preparation
from stepwave.core.running.schedule import Schedule
from tests.core.world import Acts, World, run, step, workflow

MB = 1 << 20
GB = 1 << 30


def needing(id: str, size: int, *needs: str, **fields: object) -> Step:
    return step(id, *needs, limits=Limits(memory_bytes=size), **fields)


def left(*sizes: int) -> list[Measured]:
    return [Measured(0.0, size) for size in sizes]


def shorts(world: World) -> list[MemoryShort]:
    return [event for _, event in world.events if isinstance(event, MemoryShort)]


# --- waiting -------------------------------------------------------------------------------------------------


def test_only_as_many_run_as_fit() -> None:
    world = run(*(needing(f"s{n}", GB) for n in range(5)), measured=left(2 * GB + MB))
    assert max(map(len, world.overlaps)) == 2 and world.now == 3
    assert shorts(world)[0] == ("s2", GB, MB, False)
    assert [one[0] for one in shorts(world)] == ["s2", "s3", "s4"], "each is told once"


def test_those_that_need_less_or_nothing_go_before() -> None:
    steps = [needing("a", GB), needing("b", GB), needing("small", 256 * MB), step("unknown")]
    world = run(*steps, acts={"a": Acts(5)}, measured=left(GB + 300 * MB))
    assert world.started == {"a": 0, "small": 0, "unknown": 0, "b": 5}


def test_what_is_known_from_earlier_runs_counts() -> None:
    plan = make_plan(workflow(step("a"), step("b")), cpus=4)
    plan = informed(plan, {id: Learned(3, 1.0, peak_rss_bytes=GB) for id in "ab"})
    assert World(plan, measured=left(3 * GB)).run().now == 1
    assert World(plan, measured=left(GB)).run().now == 2


def test_some_memory_is_left_free() -> None:
    steps = [needing("a", GB), needing("b", GB)]
    assert run(*steps, measured=left(3 * GB), min_free_bytes=GB).now == 1
    assert run(*steps, measured=left(3 * GB), min_free_bytes=GB + 1).now == 2
    unknown = run(*(step(f"s{n}") for n in range(4)), measured=left(GB), min_free_bytes=512 * MB)
    assert max(map(len, unknown.overlaps)) == 2, "of which nobody knows, each counts 256 MB"


def test_the_parts_of_a_for_each_need_what_the_whole_says() -> None:
    each = needing("each", GB, type=StepType.FAN_OUT, for_each="{{variables.xs}}")
    world = run(each, variables={"xs": [1, 2, 3, 4]}, measured=left(2 * GB))
    assert max(map(len, world.overlaps)) == 2 and world.outcomes["each"] == "completed"


def test_a_step_that_needs_more_than_there_is_starts_alone() -> None:
    world = run(needing("a", 8 * GB), needing("b", 8 * GB), needing("c", MB), measured=left(GB))
    assert world.started == {"a": 0, "b": 1, "c": 2}
    assert ("a", 8 * GB, GB, True) in shorts(world) and ("b", 8 * GB, GB, True) in shorts(world)
    assert sum(one[0] == "a" for one in shorts(world)) == 1
    assert set(world.outcomes.values()) == {"completed"}


def test_a_second_attempt_waits_again_and_says_so() -> None:
    twice = needing("b", GB, retry=Retry(2, 1.0))
    acts: dict[str, Acts | list[Acts]] = {"b": [Acts(1, code=1), Acts(1)], "c": Acts(9), "d": Acts(9)}
    world = run(needing("a", GB), twice, needing("c", GB), needing("d", GB), acts=acts, measured=left(2 * GB))
    assert world.outcomes["b"] == "completed"
    assert sum(one[0] == "b" for one in shorts(world)) == 1 and world.started["b"] == 0
    assert world.now == 11


def test_why() -> None:
    flow = workflow(needing("a", GB), needing("b", GB), needing("c", GB))
    plan = make_plan(flow, cpus=4)
    preparation = Preparation(plan, environ={}, run="r", run_folder="/r", now=0.0)
    schedule = Schedule(plan, preparation, measured=Measured(0.0, GB + 512 * MB))
    schedule.begin(0.0)
    assert schedule.why("b") == "`b` is ready and waits: it needs 1 GB of memory, and 512 MB are left"


# --- measuring -----------------------------------------------------------------------------------------------


def test_where_nobody_knows_anything_nothing_is_measured() -> None:
    assert run(*(step(f"s{n}", f"s{n - 1}") if n else step("s0") for n in range(9)), measured=left(0)).asked == []


def test_without_a_first_measurement_nobody_waits() -> None:
    assert run(needing("a", GB), needing("b", GB)).now == 1


def test_while_somebody_waits_it_is_measured_again_and_again() -> None:
    steps = [needing("a", GB), needing("b", GB)]
    world = run(*steps, acts={"a": Acts(9)}, measured=left(GB, GB, GB, 3 * GB))
    assert world.asked == [MEASURE_S, 2 * MEASURE_S, 3 * MEASURE_S]
    assert world.started["b"] == 3 * MEASURE_S, "other programs have ended"
    assert run(*steps, acts={"a": Acts(99)}, measured=left(8 * GB)).asked == []


def test_no_step_starts_on_old_figures() -> None:
    steps = [needing("a", GB), needing("b", GB, "a"), needing("c", GB, "a"), step("d")]
    world = run(*steps, acts={"a": Acts(5)}, measured=left(8 * GB, GB))
    assert world.asked[0] == 5 and world.started == {"a": 0, "d": 0, "b": 5, "c": 6}


def test_what_others_take_is_gone_and_what_our_own_steps_take_is_not() -> None:
    def at_two(used: dict[str, int] | None, available: int) -> float:
        """When `c` starts beside `a`, of whose 2 GB so much is used by then."""
        steps = [needing("a", 2 * GB), needing("b", 2 * GB), needing("c", GB, "b")]
        acts = {"a": Acts(30), "b": Acts(2)}
        return run(*steps, acts=acts, measured=[*left(4 * GB), Measured(0, available, used)]).started["c"]

    assert at_two({"a": 2 * GB}, 2 * GB) == 2, "it has all that it will take"
    assert at_two({"a": GB}, 2 * GB) == 2, "it may take one more"
    assert at_two({"a": GB}, 2 * GB - MB) == 30, "others have taken some"
    assert at_two({"a": 0}, 2 * GB) == 30, "it may still take all that is left"
    assert at_two({"a": 3 * GB}, GB) == 2, "more than was expected of it"
    assert at_two({"a": 3 * GB}, GB - MB) == 30
    assert at_two(None, 2 * GB) == 2, "where nobody can tell, all of it counts as taken"
    assert at_two(None, GB - MB) == 30


def test_an_order_to_measure_says_when_it_matters_who_uses_what() -> None:
    flow = workflow(needing("a", GB), needing("b", 2 * GB, "a"), min_free_bytes=GB)
    plan = make_plan(flow, cpus=4, max_concurrency=3)
    preparation = Preparation(plan, environ={}, run="r", run_folder="/r", now=0.0)
    schedule = Schedule(plan, preparation, measured=Measured(0.0, 9 * GB))
    schedule.begin(0.0)
    _, orders = schedule.handle(Exited("a", 1, code=0), 5.0)
    assert orders == [Measure(GB + 3 * 2 * GB)]
    _, orders = schedule.handle(Measured(0.0, 9 * GB), 5.0)
    assert [order.step for order in orders] == ["b"]  # type: ignore[union-attr]


def test_an_adaptive_width_counts_with_what_steps_need() -> None:
    sizes = [needing(f"s{n}", 64 * MB) for n in range(8)]
    world = run(*sizes, adaptive=True, measured=left(512 * MB))
    assert max(map(len, world.overlaps)) == 4, "and not with 256 MB for each"
    assert max(map(len, run(*(step(f"s{n}") for n in range(8)), adaptive=True, measured=left(512 * MB)).overlaps)) == 2
    assert not world.of(WidthChanged)
    assert all(at % MEASURE_S == 0 for at in world.asked), "one timer for both"


# --- whatever happens ----------------------------------------------------------------------------------------


@dataclass
class Machine(World):
    """Has so much memory. Steps take at once what they take in the end, `others` so much from a moment on."""

    total: int = 0
    takes: dict[str, int] = field(default_factory=dict)
    others: list[tuple[float, int]] = field(default_factory=list)
    tells: bool = True

    def __post_init__(self) -> None:
        self.measure = lambda world: self._look()

    def _look(self) -> Measured:
        left = self.total - next((size for at, size in reversed(self.others) if at <= self.now), 0)
        used = {}
        for id in self.running:  # nobody can take what is not there
            used[id] = max(0, min(self.takes[id], left))
            left -= used[id]
        return Measured(0.0, max(left, 0), used if self.tells else None)


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    count, total = draw(st.integers(1, 12)), draw(st.integers(100, 4000)) * MB
    steps, takes, acts = [], {}, {}
    for n in range(count):
        needs = draw(st.lists(st.integers(0, n - 1), unique=True, max_size=2)) if n else []
        size = draw(st.integers(1, 2000)) * MB
        steps.append(needing(f"s{n}", size, *(f"s{need}" for need in needs), priority=draw(st.integers(0, 1))))
        takes[f"s{n}"] = size * draw(st.integers(0, 100)) // 100
        acts[f"s{n}"] = Acts(draw(st.sampled_from([0.0, 0.5, 1.0, 3.0, 7.0])))
    flow = workflow(*steps, min_free_bytes=draw(st.sampled_from([None, 0, 500 * MB])))
    plan = make_plan(flow, cpus=4, max_concurrency=draw(st.integers(2, 6)))
    others = draw(st.lists(st.tuples(st.floats(0, 9), st.integers(0, 3000).map(lambda n: n * MB)), max_size=3))
    return Machine(plan, acts, total=total, takes=takes, others=sorted(others), tells=draw(st.booleans()))  # type: ignore[arg-type]


@settings(max_examples=150, deadline=None)
@given(machines())
def test_everything_ends_and_our_steps_never_take_more_than_there_is(machine: Machine) -> None:
    machine.run()
    assert set(machine.outcomes.values()) == {"completed"}
    for together in machine.overlaps:
        held = sum(machine.plan.steps[id].limits.memory_bytes or 0 for id in together)
        assert len(together) == 1 or held <= machine.total
    told = [(event.step, event.starts) for event in shorts(machine)]
    assert len(told) == len(set(told))


@settings(max_examples=100, deadline=None)
@given(machines())
def test_while_others_take_nothing_only_those_are_told_that_do_not_fit(machine: Machine) -> None:
    """Whether it is told what steps use or not, and however little they have taken so far."""
    machine.others.clear()
    machine.run()
    budget = machine.total - (machine.plan.workflow.min_free_bytes or 0)
    for event in shorts(machine):
        assert event.left_bytes < event.needed_bytes
        assert event.left_bytes <= max(budget, 0)


@pytest.mark.parametrize("tells", [True, False])
def test_a_budget_grows_again_while_steps_go_on(tells: bool) -> None:
    """Others held most of the memory when the run began."""
    steps = [needing("long", GB), *(needing(f"s{n}", GB) for n in range(3))]
    takes = {one.id: GB for one in steps}
    plan = make_plan(workflow(*steps), cpus=4)
    acts = {"long": Acts(20), **{f"s{n}": Acts(5) for n in range(3)}}
    others = [(0.0, 6 * GB), (1.0, 0)]
    machine = Machine(plan, acts, total=8 * GB, takes=takes, others=others, tells=tells)
    machine.run()
    assert machine.started == {"long": 0, "s0": 0, "s1": 2, "s2": 2}
