"""How long steps are expected to take, and the orders that follow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwave.core.model import Step, StepType
from stepwave.core.plan import Learned, Plan
from stepwave.core.running.graph import informed, make_plan
from stepwave.core.running.weights import GUESS_S, expected_s, in_order, is_order, program_of
from tests.core.world import Acts, World, run, step, workflow


def plan_of(*steps: Step, **fields: object) -> Plan:
    return make_plan(workflow(*steps, **fields), cpus=4)


def seconds(steps: list[Step], **learned: float) -> dict[str, float]:
    known = {id: Learned(1, duration_s) for id, duration_s in learned.items()}
    found = expected_s({one.id: one for one in steps}, known)
    return {one.id: found.get(one.id, GUESS_S) for one in steps}


def test_without_anything_every_step_takes_a_second() -> None:
    assert seconds([step("a"), step("b", type=StepType.NOOP)]) == {"a": 1.0, "b": 1.0}


def test_what_was_learned_beats_the_estimate() -> None:
    assert seconds([step("a", estimate_s=9.0), step("b", estimate_s=7.0)], a=2.0) == {"a": 2.0, "b": 7.0}


def test_an_estimate_speaks_for_its_family_only() -> None:
    steps = [step("m[1]", family="m", estimate_s=9.0), step("m[2]", family="m"), step("other")]
    assert seconds(steps) == {"m[1]": 9.0, "m[2]": 9.0, "other": 1.0}


def test_who_is_new_is_like_what_starts_the_same_program_or_like_all() -> None:
    steps = [
        step("a", argv=("cc", "a.c")),
        step("b", argv=("cc", "b.c")),
        step("c", argv=("cc", "c.c")),
        step("d", argv=("tar", "x")),
        step("e", argv=("zip", "x")),
        step("f", type=StepType.NOOP, argv=()),
    ]
    known = seconds(steps, a=2.0, b=4.0, d=12.0)
    assert known == {"a": 2.0, "b": 4.0, "c": 3.0, "d": 12.0, "e": 6.0, "f": 0.0}


def test_the_parts_that_a_for_each_had_speak_for_it() -> None:
    whole = step("each", type=StepType.FAN_OUT, for_each="{{steps.list.output}}")
    assert seconds([step("list"), whole], **{"list": 1.0, "each[a]": 4.0, "each[b]": 6.0})["each"] == 5.0


@pytest.mark.parametrize(
    ("one", "program"),
    [
        (step("a", argv=("/usr/bin/cc", "x.c")), "/usr/bin/cc"),
        (step("a", argv=("/bin/sh", "-e", "-c"), script="  CC=gcc make all\n"), "make"),
        (step("a", argv=()), ""),
    ],
)
def test_the_program_of_a_step(one: Step, program: str) -> None:
    assert program_of(one) == program


def test_longest_paths_follow_what_was_learned() -> None:
    plan = plan_of(step("a"), step("b"), step("c", "b"), step("d", "a", "c"))
    assert plan.remaining_s == {"a": 2.0, "b": 3.0, "c": 2.0, "d": 1.0}
    known = informed(plan, {"a": Learned(3, 60.0), "b": Learned(1, 1.0), "c": Learned(1, 2.0), "d": Learned(1, 5.0)})
    assert known.remaining_s == {"a": 65.0, "b": 8.0, "c": 7.0, "d": 5.0}
    assert informed(plan, {}) is plan


def test_the_second_run_starts_the_long_one_first() -> None:
    steps = [*(step(f"s{n}") for n in range(4)), step("long")]
    acts: dict[str, Acts | list[Acts]] = {"long": Acts(4.0)}
    first = run(*steps, acts=acts, max_concurrency=2)
    learned = {id: Learned(1, end.duration_s) for id, end in first.ends.items()}
    second = World(informed(make_plan(workflow(*steps, max_concurrency=2), cpus=2), learned), acts).run()
    assert (first.now, second.now) == (6.0, 4.0)
    assert next(iter(second.started)) == "long"


# --- orders ------------------------------------------------------------------------------------------


def started(order: str, *steps: Step) -> list[str]:
    plan = make_plan(workflow(*steps, max_concurrency=1), cpus=1)
    return list(World(in_order(plan, order)).run().started)


STEPS = (step("a"), step("b", estimate_s=5.0), step("c"), step("d", "c"), step("first", priority=-1))


def test_the_order_of_the_file() -> None:
    assert started("critical-path", *STEPS) == ["first", "b", "c", "a", "d"]
    assert started("file", *STEPS) == ["first", "a", "b", "c", "d"]


def test_a_shuffle_hangs_on_its_seed_alone() -> None:
    orders = {tuple(started(f"shuffle:{seed}", *STEPS)) for seed in range(30)}
    assert len(orders) > 5
    assert all(order[0] == "first" and order.index("c") < order.index("d") for order in orders)
    assert started("shuffle:7", *STEPS) == started("shuffle:7", *STEPS)
    assert in_order(plan_of(step("a"), step("b")), "shuffle:1").urgency == {
        "a": pytest.approx(0.362763, abs=1e-6),
        "b": pytest.approx(0.932261, abs=1e-6),
    }, "on every machine"


@pytest.mark.parametrize("order", ["", "shuffle", "shuffle:", "FILE", "critical_path"])
def test_what_is_no_order(order: str) -> None:
    assert not is_order(order)
    with pytest.raises(ValueError, match="the order must be one of critical-path, file, shuffle:SEED"):
        in_order(plan_of(step("a")), order)


def test_the_parts_of_a_for_each_are_as_urgent_as_the_whole() -> None:
    whole = step("each", "list", type=StepType.FAN_OUT, for_each="{{variables.xs}}")
    steps = [step("list"), step("other", "list"), whole, step("after", "each", estimate_s=9.0)]
    world = run(*steps, max_concurrency=1, variables={"xs": [1, 2]})
    assert list(world.started) == ["list", "each", "each[1]", "each[2]", "after", "other"]


@given(st.dictionaries(st.sampled_from("abcd"), st.floats(0, 1e9)), st.lists(st.sampled_from("abcd"), unique=True))
def test_the_longest_path_is_as_long_as_its_steps(known: dict[str, float], ids: list[str]) -> None:
    """In a chain everything after a step is left when it starts."""
    steps = [step(id, *ids[n - 1 : n] if n else ()) for n, id in enumerate(ids)]
    plan = informed(plan_of(*steps), {id: Learned(1, s) for id, s in known.items()})
    each = expected_s(plan.steps, plan.learned)
    for n, id in enumerate(ids):
        assert plan.remaining_s[id] == pytest.approx(sum(each.get(other, GUESS_S) for other in ids[n:]))
