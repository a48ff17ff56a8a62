"""Lock files that runs share: never more than the limit, first come, first served, and free once their owner is dead.

Every `HostPool` opens its file anew, so that two of one process are to each other what two runs are.
"""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepwave.edge.host_pools import HostPool, NoHostPools, folder_of, make_folder

Make = Callable[..., HostPool]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Make]:
    """Makes the pool of one more run."""
    made: list[HostPool] = []

    def make(limit: int = 1, pool: str = "gpu", asked: dict[str, int] | None = None, gap_s: float = 0.0) -> HostPool:
        made.append(HostPool(tmp_path, pool, limit, {} if asked is None else asked, gap_s))
        return made[-1]

    yield make
    for one in made:
        one.close()


def rings(pool: HostPool) -> bool:
    return pool.wait_fd is not None and bool(select.select([pool.wait_fd], [], [], 0)[0])


# --- units -----------------------------------------------------------------------------------------------------------


def test_units_are_counted_across_runs(run: Make) -> None:
    one, other = run(3), run(3)
    assert one.try_take("a", 2) and other.try_take("b", 1)
    assert not one.try_take("c", 1) and not other.try_take("d", 1)
    other.give_back("b")
    assert one.try_take("c", 1)


def test_what_lies_between_is_used_again(run: Make) -> None:
    one, other = run(6), run(6)
    assert all(one.try_take(f"a{n}", 1) and other.try_take(f"b{n}", 1) for n in range(3))
    for n in range(3):
        one.give_back(f"a{n}")
    assert one.try_take("wide", 3) and not other.try_take("more", 1)
    one.give_back("wide")
    assert other.try_take("more", 3)


def test_all_owners_are_counted_whoever_came_first(run: Make) -> None:
    one, other, third = run(2), run(2), run(2)
    assert one.try_take("low", 1) and one.try_take("high", 1)
    one.give_back("low")
    assert other.try_take("b", 1), "it lies below what is listed first"
    assert not third.try_take("c", 1) and run(3).try_take("d", 1) is False
    third.give_back("c")


def test_units_may_be_as_many_as_one_likes(run: Make) -> None:
    one, other = run(10**9), run(10**9)
    assert one.try_take("a", 10**9 - 5) and other.try_take("b", 5) and not other.try_take("c", 1)


def test_each_run_keeps_its_own_limit_and_is_told_of_another(run: Make) -> None:
    narrow, wide = run(1), run(3)
    assert narrow.other_limit is None and wide.other_limit == 1 and run(1).other_limit is None
    assert wide.try_take("a", 1) and not narrow.try_take("b", 1)
    assert not wide.try_take("c", 1), "who asked before is not overtaken"
    wide.give_back("a")
    assert narrow.try_take("b", 1) and wide.try_take("c", 2)


def test_a_limit_is_that_of_runs_that_live(run: Make, tmp_path: Path) -> None:
    HostPool(tmp_path, "gpu", 5, {}).close()
    assert run(2).other_limit is None and run(3).other_limit == 2


def test_pools_of_any_name_are_apart(run: Make, tmp_path: Path) -> None:
    names = ["gpu", "../gpu", "a/b", ".", "ü" * 300, "ü" * 299, "-", " "]
    assert all(run(pool=name).try_take("a", 1) for name in names)
    assert not any(run(pool=name).try_take("b", 1) for name in names)
    assert {path.parent for path in tmp_path.rglob("*.units")} == {tmp_path}


# --- the queue -------------------------------------------------------------------------------------------------------


def test_first_come_first_served_and_woken(run: Make) -> None:
    holder, first, second = run(), run(), run()
    assert holder.try_take("h", 1)
    assert not first.try_take("a", 1) and not second.try_take("b", 1)
    assert not rings(first) and not rings(second)
    holder.give_back("h")
    assert rings(first) and not rings(second)
    assert not second.try_take("b", 1) and not holder.try_take("h", 1)
    assert first.try_take("a", 1) and not rings(first)
    first.give_back("a")
    assert rings(second) and second.try_take("b", 1) and second.wait_fd is None


def test_a_try_that_fails_leaves_the_descriptor_silent(run: Make) -> None:
    holder, wide, small = run(2), run(2), run(2)
    assert holder.try_take("h", 1) and holder.try_take("i", 1) and not wide.try_take("a", 2)
    holder.give_back("h")
    assert rings(wide) and not wide.try_take("a", 2) and not rings(wide) and wide.retry_s
    assert not small.try_take("b", 1), "what the first in line needs is left to it"


def test_who_gets_some_wakes_the_next_for_the_rest(run: Make) -> None:
    holder, first, second = run(2), run(2), run(2)
    assert holder.try_take("h", 2) and not first.try_take("a", 1) and not second.try_take("b", 1)
    holder.give_back("h")
    assert rings(first) and not rings(second)
    assert first.try_take("a", 1) and rings(second) and second.try_take("b", 1)


def test_who_gives_up_wakes_the_next(run: Make) -> None:
    holder, first, second = run(2), run(2), run(2)
    assert holder.try_take("h", 1) and not first.try_take("a", 2) and not second.try_take("b", 1)
    first.give_back("a")
    assert rings(second) and second.try_take("b", 1)


def test_what_is_put_back_keeps_its_place(run: Make) -> None:
    one, other = run(), run()
    assert one.try_take("a", 1) and not other.try_take("b", 1)
    one.put_back("a")
    assert not other.try_take("b", 1) and one.try_take("a", 1)


def test_the_older_wish_is_first_in_all_queues(tmp_path: Path) -> None:
    asked: dict[str, int] = {}
    mine = [HostPool(tmp_path, name, 1, asked) for name in ("gpu", "fpga")]
    theirs = [HostPool(tmp_path, name, 1, {}) for name in ("gpu", "fpga")]
    holder = HostPool(tmp_path, "gpu", 1, {})
    assert holder.try_take("h", 1)
    assert not mine[0].try_take("a", 1)  # it wants both, and asked first for the one that is taken
    assert theirs[1].try_take("b", 1)
    assert not mine[1].try_take("a", 1)
    theirs[1].put_back("b")
    assert mine[1].try_take("a", 1), "it asked before the other one had got anything"
    for one in (*mine, *theirs, holder):
        one.close()


def test_one_that_does_not_look_any_more_is_passed_over(run: Make, tmp_path: Path) -> None:
    holder, stopped, other = run(), run(), run()
    assert holder.try_take("h", 1) and not stopped.try_take("a", 1)
    holder.give_back("h")
    [ticket] = (tmp_path / "gpu.queue").iterdir()
    os.utime(ticket, (0, 0))
    assert other.try_take("b", 1)
    other.give_back("b")
    assert stopped.try_take("a", 1), "it keeps its place"


HELD = """
import sys
from pathlib import Path
from stepwave.edge.host_pools import HostPool

pool = HostPool(Path(sys.argv[1]), "gpu", 1, {})
print(pool.try_take("a", 1), flush=True)
sys.stdin.read()
"""


def test_a_crash_frees_units_and_places(run: Make, tmp_path: Path) -> None:
    waiter = run()
    words = [sys.executable, "-c", HELD, str(tmp_path)]
    with (
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder,
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as queued,
    ):
        assert holder.stdout and queued.stdout
        said = {holder.stdout.readline(), queued.stdout.readline()}
        assert said == {b"True\n", b"False\n"} and not waiter.try_take("b", 1)
        holder.send_signal(signal.SIGKILL)
        queued.send_signal(signal.SIGKILL)
    assert waiter.try_take("b", 1)
    assert list((tmp_path / "gpu.queue").iterdir()) == [], "nothing is left of the dead"


def test_a_descriptor_that_somebody_keeps_holds_the_unit(run: Make, tmp_path: Path) -> None:
    """As the helpers do for steps of a runner that has been killed; and giving back is for all of them."""
    one = HostPool(tmp_path, "gpu", 1, {})
    kept = os.dup(one.fd)
    other = run()
    assert one.try_take("a", 1)
    one.give_back("a")
    assert other.try_take("b", 1)
    other.give_back("b")
    assert one.try_take("a", 1)
    os.close(one.fd)  # as the kernel does when the runner is killed
    assert not other.try_take("b", 1)
    os.close(kept)
    assert other.try_take("b", 1)
    one.fd = -1
    one._let_go()


def test_a_queue_that_somebody_deletes_is_one_that_nobody_is_in(run: Make, tmp_path: Path) -> None:
    holder, waiter = run(), run()
    assert holder.try_take("h", 1) and not waiter.try_take("a", 1)
    for path in (tmp_path / "gpu.queue").iterdir():
        path.unlink()
    (tmp_path / "gpu.queue").rmdir()
    assert not waiter.try_take("a", 1) and not run().try_take("b", 1)
    holder.give_back("h")
    assert waiter.try_take("a", 1)


moves = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(1, 3)), max_size=30)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves, st.tuples(*[st.integers(1, 4)] * 3))
def test_whatever_is_taken_and_given_back(
    tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[int, int, int]], limits: tuple[int, int, int]
) -> None:
    folder = tmp_path_factory.mktemp("pools")
    runs = [HostPool(folder, "gpu", limit, {}) for limit in limits]
    held: dict[tuple[int, int], int] = {}
    waiting: list[tuple[int, int, int]] = []
    for number, step, units in moves:
        key = number, step
        if key in held:
            runs[number].give_back(f"s{step}")
            del held[key]
        elif not any(one[:2] == key for one in waiting) and units <= limits[number]:
            waiting.append((number, step, units))
        for one in list(waiting):
            if runs[one[0]].try_take(f"s{one[1]}", one[2]):
                waiting.remove(one)
                held[one[:2]] = one[2]
                assert sum(held.values()) <= limits[one[0]]
    while held or waiting:  # all get their turn, in order
        for number, step in list(held):
            runs[number].give_back(f"s{step}")
        held.clear()
        number, step, units = waiting.pop(0) if waiting else (0, 9, 1)
        assert runs[number].try_take(f"s{step}", units)
        held[number, step] = units
        if not waiting and step == 9:
            break
    for one in runs:
        one.close()


# --- a rate limit ----------------------------------------------------------------------------------------------------


def test_turns_are_a_gap_apart_whoever_takes_them(run: Make) -> None:
    one, other = run(gap_s=100.0), run(gap_s=1000.0)
    assert one.try_take("a", 1), "nobody has ever started"
    assert not other.try_take("b", 1)
    one.give_back("a")
    assert not other.try_take("b", 1) and 990 < (other.retry_s or 0) <= 1000
    assert not one.try_take("c", 1), "the other one is first"
    other.give_back("b")
    assert not one.try_take("c", 1) and 90 < (one.retry_s or 0) <= 100


def test_a_moment_of_before_the_machine_was_started_counts_for_nothing(run: Make, tmp_path: Path) -> None:
    import struct

    one = run(gap_s=100.0)
    (tmp_path / "gpu.units").write_bytes(struct.pack("d", 1e15))
    assert one.try_take("a", 1)


# --- the folder ------------------------------------------------------------------------------------------------------


def test_where_it_lies() -> None:
    assert folder_of({"STEPWAVE_HOST_DIR": "/some/where", "HOME": "/h"}) == Path("/some/where")
    assert folder_of({"HOME": "/h"}).parent == Path("/h/.local/state/stepwave/host")
    assert folder_of({"HOME": "/h", "XDG_STATE_HOME": "/s"}).parent == Path("/s/stepwave/host")
    with pytest.raises(NoHostPools, match="neither STEPWAVE_HOST_DIR, XDG_STATE_HOME nor HOME"):
        folder_of({"HOME": ""})


def test_it_is_for_this_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "host"
    make_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    pool = HostPool(folder, "gpu", 1, {})
    assert not pool.try_take("a", 2)
    assert {path.stat().st_mode & 0o077 for path in folder.rglob("*")} == {0}
    pool.close()


def test_what_others_may_have_made_is_refused(tmp_path: Path) -> None:
    own = tmp_path / "own"
    make_folder(own)
    (tmp_path / "link").symlink_to(own)
    (tmp_path / "file").touch()
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    for name, words in (("link", "is not a folder"), ("file", "is not a folder"), ("open", "others may write to it")):
        with pytest.raises(NoHostPools, match=words):
            make_folder(tmp_path / name)
    with pytest.raises(NoHostPools, match="cannot be made: "):
        make_folder(tmp_path / "file" / "below")


def test_a_link_in_place_of_a_lock_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "victim").touch()
    (tmp_path / "gpu.units").symlink_to(tmp_path / "victim")
    with pytest.raises(NoHostPools):
        HostPool(tmp_path, "gpu", 1, {})
    (tmp_path / "fpga.limit").symlink_to(tmp_path / "victim")
    with pytest.raises(NoHostPools):
        HostPool(tmp_path, "fpga", 1, {})
    assert (tmp_path / "victim").read_bytes() == b""
