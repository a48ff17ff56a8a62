"""How many steps may run on a machine that has other work to do."""

import math

from hypothesis import given
from hypothesis import strategies as st

from stepwave.core.running.adapt import SHARE, width
from stepwave.core.running.needs import PER_STEP_BYTES

PLENTY = 1 << 50
counts = st.integers(1, 64)
loads = st.floats(0, 1000)
bytes_left = st.integers(0, 1 << 42)


def room_for(steps: float) -> int:
    """So much available memory that so many more steps have room."""
    return math.ceil(steps * PER_STEP_BYTES / SHARE)


@given(most=counts, cpus=counts, load=loads, left=bytes_left, running=st.integers(0, 64), now=st.integers(0, 64))
def test_at_least_one_step_and_never_more_than_asked_for(
    most: int, cpus: int, load: float, left: int, running: int, now: int
) -> None:
    new, reason = width(most, cpus, load, left, running, now)
    assert 1 <= new <= most
    assert reason


@given(most=counts, cpus=counts, left=bytes_left, running=st.integers(0, 64), now=st.integers(0, 64), load=loads)
def test_the_same_figures_again_change_nothing(
    most: int, cpus: int, left: int, running: int, now: int, load: float
) -> None:
    """What our own steps need is known by `running`, so that the width has no say in what is left to others."""
    running = max(running, now, most)
    new, _ = width(most, cpus, load, left, running, now)
    assert width(most, cpus, load, left, running, new)[0] == new


@given(most=counts, cpus=counts, share=st.floats(0, 1), running=st.integers(0, 64))
def test_the_load_of_our_own_steps_throttles_nothing(most: int, cpus: int, share: float, running: int) -> None:
    """Also when most of them have just ended, and the load average does not know it yet."""
    assert width(most, cpus, share * most, PLENTY, min(running, most), most)[0] == most


@given(most=counts, cpus=counts, running=st.integers(0, 64))
def test_an_idle_machine_gives_all_that_was_asked_for_back(most: int, cpus: int, running: int) -> None:
    now = 1
    for _ in range(2):
        now, _ = width(most, cpus, 0.0, PLENTY, min(running, now), now)
    assert now == most


@given(most=counts, cpus=counts, less=loads, more=loads, left=bytes_left, running=st.integers(0, 64))
def test_more_load_never_means_more_steps(
    most: int, cpus: int, less: float, more: float, left: int, running: int
) -> None:
    less, more = sorted((less, more))
    assert width(most, cpus, more, left, running, 0)[0] <= width(most, cpus, less, left, running, 0)[0]


@given(most=counts, cpus=counts, less=bytes_left, more=bytes_left, running=st.integers(0, 64))
def test_less_memory_never_means_more_steps(most: int, cpus: int, less: int, more: int, running: int) -> None:
    less, more = sorted((less, more))
    assert width(most, cpus, 0.0, less, running, 0)[0] <= width(most, cpus, 0.0, more, running, 0)[0]


def test_others_take_their_part_of_the_cpus() -> None:
    assert width(8, 8, 3.0, PLENTY, 0, 0) == (5, "load 3.0 on 8 CPUs")
    assert width(8, 8, 11.0, PLENTY, 8, 8) == (5, "load 11.0 on 8 CPUs"), "eight of it are ours"
    assert width(8, 8, 40.0, PLENTY, 8, 8)[0] == 1
    assert width(4, 2, 1.0, PLENTY, 0, 0)[0] == 2, "half the CPUs, half the width"
    assert width(4, 16, 8.0, PLENTY, 0, 0)[0] == 4, "there is room for all four"
    assert width(4, 1, 0.1, PLENTY, 0, 0) == (4, "load 0.1 on 1 CPU")


def test_memory_bounds_what_is_started_and_not_what_runs() -> None:
    assert width(8, 8, 0.0, room_for(3.2), 0, 0) == (3, "1.1 GB of memory left")
    assert width(8, 8, 8.0, room_for(0), 5, 8) == (5, "0.0 GB of memory left")
    assert width(8, 8, 8.0, room_for(1.2), 5, 8)[0] == 6


def test_small_changes_change_nothing() -> None:
    """Four of eight CPUs are others': the width stays what it is while they take a little more, or less."""
    quiet = {load / 10: width(8, 8, 4 + load / 10, PLENTY, 4, 4)[0] for load in range(30, 48)}
    assert {load for load, new in quiet.items() if new == 4} == {load / 10 for load in range(35, 48)}
    assert width(8, 8, 8.8, PLENTY, 4, 4)[0] == 3
    assert width(8, 8, 0.0, room_for(1.4), 4, 4)[0] == 4, "not up yet"
    assert width(8, 8, 0.0, room_for(1.6), 4, 4)[0] == 5


def test_the_width_comes_to_rest_beside_steady_work_of_others() -> None:
    """A load average that looks back a minute, as that of Linux, and our own steps in it."""
    for others, allowed in [(0.0, {8}), (0.4, {8}), (3.0, {4, 5}), (5.0, {3}), (20.0, {1})]:
        load, now = others, 0
        widths = []
        for _ in range(100):
            now, _ = width(8, 8, load, PLENTY, now, now)
            widths.append(now)
            load += (others + now - load) * (1 - math.exp(-10 / 60))  # ten seconds later
        assert set(widths[50:]) <= allowed, others
        assert len(set(widths[70:])) == 1, "it flaps"
