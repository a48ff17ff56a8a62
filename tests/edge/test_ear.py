"""What the supervisor listens for: the end of what a step prints, and how long nothing comes."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepwave.core.events import Measure, Silent
from stepwave.edge.local.ear import OVERSLEPT_S, TAIL, Ear
from tests.edge.test_local import LONG, Bench, select_nothing, wait_for, wait_until_idle

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="process trees are followed through /proc")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.launcher.close()


def test_the_end_of_what_it_prints_comes_back_where_it_was_asked_for(bench: Bench) -> None:
    end = bench.shell("printf one; printf two >&2; printf '\\377three\\n'", keep_tail=True)
    assert end.tail == "onetwo\ufffdthree\n"
    assert bench.shell("echo one").tail == "", "nobody asked"
    assert bench.run("no-such-command", keep_tail=True).tail == ""
    both = bench.shell("echo out; echo err >&2", keep_tail=True, keep_output=True)
    assert (sorted(both.tail.split()), both.stdout) == (["err", "out"], "out\n")


def test_of_much_output_the_last_part_comes_back(bench: Bench) -> None:
    numbers = "".join(f"{n}\n" for n in range(1, 300_001))
    end = bench.shell("seq 300000; printf ende", keep_tail=True)
    assert end.tail == (numbers + "ende")[-TAIL:]
    assert bench.log(end) == numbers + "ende"


def test_silence_is_told_once_and_the_step_goes_on(bench: Bench) -> None:
    bench.start("x", "/bin/sh", "-c", "echo a; while [ ! -e go ]; do sleep 0.01; done; echo b", idle_s=0.05)
    wait_for_silence(bench)
    assert bench.collect(0.3) == []
    (bench.folder / "go").touch()
    end = bench.end("x")
    assert (end.code, bench.log(end)) == (0, "a\nb\n")
    assert bench.silences == [Silent("x", 1)]


def wait_for_silence(bench: Bench) -> None:
    give_up = time.monotonic() + LONG
    while not bench.silences:
        assert time.monotonic() < give_up, "nobody notices"
        bench.collect(1.0)


def test_a_silence_and_an_end_that_come_together_are_both_read(bench: Bench) -> None:
    bench.start("x", "/bin/sh", "-c", "while [ ! -e go ]; do sleep 0.01; done", idle_s=0.05)
    wait_until_idle(bench)  # the silence has been told
    told = bytes_to_read(bench)
    (bench.folder / "go").touch()
    give_up = time.monotonic() + LONG
    while bytes_to_read(bench) == told:
        assert time.monotonic() < give_up, "the end is not told"
        select_nothing(0.005)
    assert bench.end("x").code == 0
    assert bench.silences == [Silent("x", 1)]


def bytes_to_read(bench: Bench) -> int:
    import fcntl
    import termios

    channel = next(iter(bench.launcher._busy.values())).channel
    return int.from_bytes(fcntl.ioctl(channel, termios.FIONREAD, bytes(4)), sys.byteorder)


def test_a_step_that_is_being_stopped_is_not_silent(bench: Bench) -> None:
    bench.start("x", "/bin/sh", "-c", "trap '' TERM; echo $$ > pid; while :; do sleep 1000; done", idle_s=0.4)
    wait_for(bench.folder / "pid")
    bench.stop("x")
    before = len(bench.silences)
    bench.collect(0.6)
    bench.stop("x", force=True)
    assert bench.end("x").stopped
    assert len(bench.silences) == before


def test_a_frozen_step_is_not_silent(bench: Bench) -> None:
    bench.start("x", "/bin/sh", "-c", "echo $$ > pid; while :; do sleep 0.01; done", idle_s=0.5)
    wait_for(bench.folder / "pid")
    bench.launcher.freeze()
    assert bench.collect(0.7) == []
    bench.launcher.thaw()
    wait_for_silence(bench)
    bench.stop("x", force=True)
    assert bench.end("x").stopped


def test_an_ear_counts_the_silence_between_sounds() -> None:
    ear, sound = Ear(keep_tail=False, idle_s=10.0), memoryview(b"x")
    assert [ear.is_silent(now) for now in (100.0, 109.9)] == [False, False]
    assert ear.due == 110.0
    ear.take(sound)
    assert (ear.is_silent(109.95), ear.due) == (False, 119.95)
    ear.freeze(115.0)
    assert not ear.is_silent(150.0)
    assert ear.due is None
    ear.thaw(160.0)
    assert (ear.is_silent(164.9), ear.due) == (False, 164.95)
    assert [ear.is_silent(165.0), ear.is_silent(165.0), ear.is_silent(500.0)] == [True, False, False]
    assert ear.due is None


def test_an_ear_remembers_no_more_than_it_must() -> None:
    ear = Ear(keep_tail=True, idle_s=None)
    for n in range(100):
        ear.take(memoryview(bytes([n]) * 10_000))
        assert len(ear._tail) <= 2 * TAIL
    assert ear.tail == b"".join(bytes([n]) * 10_000 for n in range(100))[-TAIL:]


def test_an_ear_that_overslept_begins_again() -> None:
    """The supervisor itself stood still: a frozen container."""
    ear = Ear(keep_tail=False, idle_s=10.0)
    assert not ear.is_silent(0.0)
    assert not ear.is_silent(10.0 + OVERSLEPT_S)
    assert ear.due == 20.0 + OVERSLEPT_S
    assert ear.is_silent(20.0 + OVERSLEPT_S)


def test_measuring_is_not_the_launchers_work(bench: Bench) -> None:
    bench.launcher.obey(Measure())
    assert bench.collect(0.0) == []


def test_a_plain_step_is_asked_for_and_answered_in_no_more_words_than_ever(bench: Bench) -> None:
    bench.start("x", "true")
    launch = next(iter(bench.launcher._busy.values())).launch
    assert launch is not None
    assert len(bench.launcher._message(1, launch)) == 8
    assert len(bench.launcher._message(1, launch._replace(keep_tail=True))) == 9
    assert bench.end("x").code == 0
