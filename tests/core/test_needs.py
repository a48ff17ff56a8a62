"""What steps need of memory, and which runs have to mind it."""

from hypothesis import given
from hypothesis import strategies as st

from stepwave.core.model import Limits, Step, StepType
from stepwave.core.plan import Learned, Plan
from stepwave.core.running.graph import informed, make_plan
from stepwave.core.running.needs import (
    LEAST_BYTES,
    PER_STEP_BYTES,
    SMALL_BYTES,
    minds_memory,
    need_of,
    rounded,
)
from tests.core.world import step, workflow

MB = 1 << 20
GB = 1 << 30


def limited(size: int | None) -> Step:
    return step("a", limits=Limits(memory_bytes=size))


def seen(peak: int | None) -> dict[str, Learned]:
    return {"a": Learned(1, 1.0, peak_rss_bytes=peak)}


def test_what_was_seen_counts_but_never_more_than_the_limit() -> None:
    assert need_of(limited(None), {}) == 0
    assert need_of(limited(GB), {}) == GB
    assert need_of(limited(GB), seen(None)) == GB
    assert need_of(limited(GB), seen(256 * MB)) == 256 * MB
    assert need_of(limited(GB), seen(2 * GB)) == GB
    assert need_of(limited(None), seen(2 * GB)) == 2 * GB
    assert need_of(limited(None), {"b": Learned(1, 1.0, peak_rss_bytes=GB)}) == 0


def test_where_memory_is_to_be_left_free_any_step_needs_some() -> None:
    assert need_of(limited(None), {}, min_free=0) == PER_STEP_BYTES
    assert need_of(limited(None), seen(512 * MB), min_free=0) == 512 * MB
    assert need_of(limited(64 * MB), {}, min_free=0) == 64 * MB
    assert need_of(step("a", type=StepType.NOOP), {}, min_free=0) == 0, "it has no process"


@given(st.integers(1, 1 << 45), st.integers(1, 1 << 45))
def test_sizes_are_few_and_never_too_small(one: int, other: int) -> None:
    size = rounded(one)
    assert one <= size and (size <= one * 9 / 8 or size == LEAST_BYTES)
    assert rounded(size) == size
    assert one > other or size <= rounded(other)


def test_there_are_eight_sizes_from_each_power_of_two_to_the_next() -> None:
    assert len({rounded(GB + n * MB) for n in range(1, 1025)}) == 8
    assert {rounded(n) for n in (1, MB, 4 * MB)} == {LEAST_BYTES}


# --- which runs have to mind ---------------------------------------------------------------------------------


def plan_of(*steps: Step, width: int = 4, **fields: object) -> Plan:
    return make_plan(workflow(*steps, **fields), cpus=4, max_concurrency=width)


def test_a_run_of_which_nothing_is_known_minds_nothing() -> None:
    assert not minds_memory(plan_of(step("a"), step("b")))
    assert not minds_memory(informed(plan_of(step("a")), seen(None)))
    assert minds_memory(plan_of(step("a"), step("b"), min_free_bytes=0))


def test_steps_that_are_small_all_together_are_not_minded() -> None:
    small = [step(f"s{n}", limits=Limits(memory_bytes=SMALL_BYTES // 4)) for n in range(9)]
    assert not minds_memory(plan_of(*small, width=4))
    assert minds_memory(plan_of(*small, width=5))
    assert minds_memory(plan_of(*small, width=2, adaptive=True)), "it looks all the same"
    assert minds_memory(informed(plan_of(step("a"), step("b")), seen(SMALL_BYTES + 1)))


def test_a_step_that_becomes_many_counts_as_often_as_there_are_slots() -> None:
    whole = step("a", type=StepType.FAN_OUT, limits=Limits(memory_bytes=SMALL_BYTES // 2))
    assert minds_memory(plan_of(whole, width=3)) and not minds_memory(plan_of(whole, width=2))


def test_one_at_a_time_nobody_can_be_in_the_way() -> None:
    assert not minds_memory(plan_of(limited(GB), step("b"), width=1, min_free_bytes=GB))
