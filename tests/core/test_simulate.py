"""The simulated run, and the time that no schedule beats: held against an exact list scheduler and Graham's bound."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import traces
from benchmarks.traces import Trace, Work
from stepwave.core.model import Stage, StepType
from stepwave.core.plan import Learned
from stepwave.core.running.admission import PATIENCE
from stepwave.core.running.bound import Bound, Task, lower_bound
from stepwave.core.running.graph import informed, make_plan
from stepwave.core.running.simulate import CannotSimulate, Setting, Simulated, Slice, setting_of, simulate, tasks_of
from tests.core.world import step, workflow

POOLS = {"p": 3, "q": 1}


def tried(*tasks: Task, slots: int = 2, **fields: object) -> Simulated:
    return simulate(tasks, Setting(slots, fields.pop("pools", {}), **fields))  # type: ignore[arg-type]


# To draw costs many times what it costs to run, and most of that is to make a strategy: these are made once.
_SECONDS = st.integers(0, 20)
_NEEDS = st.lists(st.integers(0, 24), unique=True, max_size=3)
_UNITS = st.tuples(*(st.integers(0, most) for most in POOLS.values()))
_ALONE = st.sampled_from([*[False] * 9, True])
_PRIORITY = st.sampled_from([0, 0, 1])


@st.composite
def graphs(draw: st.DrawFn, pools: bool = False) -> list[Task]:
    """Tasks that need some of those before them. No two sums of times are equal, so that no tie decides."""
    made: list[Task] = []
    for n in range(draw(st.integers(1, 25))):
        units = draw(_UNITS) if pools else ()
        made.append(
            Task(
                f"t{n}",
                draw(_SECONDS) + 2.0 ** -(n + 2),
                tuple(f"t{k}" for k in dict.fromkeys(k % n for k in draw(_NEEDS))) if n else (),
                resources=tuple((name, count) for name, count in zip(POOLS, units, strict=False) if count),
                alone=pools and draw(_ALONE),
                priority=draw(_PRIORITY) if pools else 0,
            )
        )
    return made


@settings(max_examples=100, deadline=None)
@given(graphs(), st.integers(1, 6))
def test_it_is_exact_list_scheduling_and_keeps_grahams_bound(tasks: list[Task], slots: int) -> None:
    found = simulate(tasks, Setting(slots, {}))
    trace: Trace = tuple(Work(task.id, task.seconds, task.needs) for task in tasks)
    assert found.makespan_s == pytest.approx(traces.listed_s(trace, slots))
    assert found.bound.seconds == pytest.approx(traces.bound_s(trace, slots))
    work_s = sum(task.seconds for task in tasks)
    assert found.makespan_s <= work_s / slots + (1 - 1 / slots) * found.bound.path_s + 1e-9, "Graham 1969"
    assert found.makespan_s >= found.bound.seconds - 1e-9


@settings(max_examples=100, deadline=None)
@given(graphs(pools=True), st.integers(1, 6), st.sampled_from(["critical-path", "file", "shuffle:1"]))
def test_nothing_is_exceeded_and_nothing_beats_the_bound(tasks: list[Task], slots: int, order: str) -> None:
    found = simulate(tasks, Setting(slots, POOLS, order=order))
    by_id = {task.id: task for task in tasks}
    ran = {one.id: one for one in found.slices}
    assert sorted(ran) == sorted(by_id)
    assert found.makespan_s >= found.bound.seconds - 1e-9
    for one in found.slices:
        assert one.end_s - one.begin_s == pytest.approx(by_id[one.id].seconds)
        assert all(ran[need].end_s <= one.begin_s for need in by_id[one.id].needs)
        beside = [other for other in found.slices if other.begin_s <= one.begin_s < other.end_s]
        assert len(beside) <= slots
        assert len({other.slot for other in beside}) == len(beside)
        for pool, limit in POOLS.items():
            assert sum(dict(by_id[other.id].resources).get(pool, 0) for other in beside) <= limit
        assert len(beside) == 1 or not any(by_id[other.id].alone for other in beside)
    assert simulate(tasks, Setting(slots, POOLS, order=order)) == found


@settings(max_examples=150, deadline=None)
@given(graphs(pools=True), st.integers(1, 3))
def test_whoever_comes_later_overtakes_only_so_often(tasks: list[Task], slots: int) -> None:
    """Of the same priority or a later one, with a shorter path to go, and out of the same pool."""
    ran = {one.id: one for one in simulate(tasks, Setting(slots, POOLS)).slices}
    left_s = traces.longest(tuple(Work(task.id, task.seconds, task.needs) for task in tasks))
    for task in tasks:
        ready_s = max((ran[need].end_s for need in task.needs), default=0.0)
        later = [
            other
            for other in tasks
            if (other.priority, -left_s[other.id]) > (task.priority, -left_s[task.id])
            and ready_s < ran[other.id].begin_s < ran[task.id].begin_s
            and (task.alone or {name for name, _ in task.resources} & {name for name, _ in other.resources})
        ]
        assert len(later) <= (PATIENCE + 1) * slots + 1
        if not task.alone and not task.resources:
            assert all(
                other.alone
                or ran[other.id].begin_s <= ready_s
                or (other.priority, -left_s[other.id]) < (task.priority, -left_s[task.id])
                for other in tasks
                if ran[other.id].begin_s < ran[task.id].begin_s
            ), "who needs only a slot is never overtaken"


def test_who_is_on_which_slot_when() -> None:
    found = tried(Task("a", 1.0), Task("b", 3.0), Task("c", 2.0, ("a",)), Task("d", 0.0, ("c",), slots=0))
    assert found.slices == (Slice("a", 0, 1, 0), Slice("b", 0, 3, 1), Slice("c", 1, 3, 0), Slice("d", 3, 3, -1))
    assert found.makespan_s == 3.0
    assert found.utilization == (("", 1.0),)


def test_pools_waves_rate_and_stages_hold_as_in_a_run() -> None:
    db = (("db", 1),)
    pooled = tried(Task("a", 2.0, resources=db), Task("b", 2.0, resources=db), pools={"db": 1})
    assert (pooled.makespan_s, pooled.bound.tightest) == (4.0, ("db", 4.0))
    waves = (Task("a", 1.0), Task("b", 3.0), Task("c", 1.0, ("a",)))
    assert tried(*waves).makespan_s == 3.0
    assert tried(*waves, by_waves=True).makespan_s == 4.0
    assert tried(Task("a", 1.0), Task("b", 1.0), rate_limit_s=5.0).makespan_s == 6.0
    last = Task("z", 2.0, stage=Stage.FINALLY)
    staged = tried(Task("a", 1.0), last)
    assert (staged.makespan_s, staged.bound.path_s, staged.bound.path) == (3.0, 3.0, ("a", "z"))
    assert tried(Task("a", 1.0, max_concurrency=1), Task("b", 1.0), slots=5).makespan_s == 2.0


def test_what_could_never_start_is_said() -> None:
    with pytest.raises(CannotSimulate, match="step `a` needs 2 of pool `db`, which has 1"):
        tried(Task("a", 1.0, resources=(("db", 2),)), pools={"db": 1})


def test_the_bound_names_the_longest_chain() -> None:
    tasks = [Task("a", 1.0), Task("b", 5.0), Task("c", 3.0, ("a", "gone")), Task("d", 1.0, ("b", "c"))]
    assert lower_bound(tasks, 2, {"p": 1}) == Bound(6.0, ("b", "d"), (("", 5.0), ("p", 0.0)))
    alone = lower_bound([Task("a", 4.0, alone=True), Task("b", 2.0)], 2, {})
    assert alone.seconds == 5.0, "while one runs alone all slots are taken"
    assert lower_bound([], 2, {}).seconds == 0.0


# --- from a plan -------------------------------------------------------------------------------------------


def test_a_plan_becomes_tasks() -> None:
    each = step("each", "list", type=StepType.FAN_OUT, for_each="{{steps.list.output}}", resources=(("p", 1),))
    flow = workflow(
        *(step("list"), each, step("end", "each", estimate_s=2.0), step("ask", type=StepType.CONDITION, argv=())),
        pools={"p": 1},
        max_concurrency=3,
    )
    plan = informed(
        make_plan(flow, cpus=1), {"list": Learned(1, 1.0), "each[a]": Learned(2, 4.0), "each[b]": Learned(1, 6.0)}
    )
    tasks = tasks_of(plan)
    found = {task.id: (task.seconds, task.needs, task.slots) for task in tasks}
    assert found == {
        "list": (1.0, (), 1),
        "ask": (0.0, (), 0),
        "each[a]": (4.0, ("list",), 1),
        "each[b]": (6.0, ("list",), 1),
        "each": (0.0, ("list", "each[a]", "each[b]"), 0),
        "end": (2.0, ("each",), 1),
    }
    assert simulate(tasks, setting_of(plan)).makespan_s == 13.0, "the pool lets one part go at a time"


# --- traces ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(traces.SHAPES))
def test_a_generated_trace_is_the_same_every_time(name: str) -> None:
    trace = traces.SHAPES[name]()
    assert trace == traces.SHAPES[name]()
    seen: set[str] = set()
    for work in trace:
        assert seen.issuperset(work.needs)
        seen.add(work.id)
    assert len(seen) == len(trace) > 90
    assert traces.bound_s(traces.scaled(trace, 8, 3.0), 8) == pytest.approx(3.0, abs=0.02)


@pytest.mark.skipif(not traces.FOLDER.is_dir(), reason="the recorded traces are not here")
def test_the_recorded_traces() -> None:
    """Longest path first is all that can be had of them, but for soykb; the order of the file loses up to 42 %."""
    found = {}
    for name, trace in traces.recorded().items():
        tasks = [Task(work.id, work.seconds, work.needs) for work in trace]
        bound_s = traces.bound_s(trace, 8)
        spans = [simulate(tasks, Setting(8, {}, order=order)).makespan_s for order in ("critical-path", "file")]
        assert spans[0] == pytest.approx(traces.listed_s(trace, 8))
        found[name] = (len(trace), *(round(span / bound_s, 2) for span in spans))
    assert found == {
        "1000genome": (328, 1.0, 1.03),
        "bacass": (11, 1.0, 1.0),
        "montage": (1066, 1.03, 1.06),
        "soykb": (96, 1.22, 1.25),
        "srasearch": (22, 1.0, 1.42),
    }


@pytest.mark.parametrize(
    "text",
    [
        """{"workflow": {"specification": {"tasks": [{"id": "b", "parents": ["a"]}, {"id": "a", "parents": []}]},
            "execution": {"tasks": [{"id": "a", "runtimeInSeconds": 1}, {"id": "b", "runtimeInSeconds": 2.5}]}}}""",
        """{"workflow": {"tasks": [{"name": "b", "parents": ["a"], "runtimeInSeconds": 2.5},
            {"name": "a", "parents": [], "runtime": 1}]}}""",
    ],
)
def test_both_forms_of_a_trace_are_read(text: str) -> None:
    assert traces.read(text) == (Work("a", 1.0, ()), Work("b", 2.5, ("a",)))
