"""Steps that follow each other in a slot without another order: the launcher and its supervisors, real processes."""

import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stepwave.core.events import Exited, Follow, Launch, Recall, Returned, Signal, Stop
from stepwave.core.model import Limits, Stdin, StopRule
from stepwave.edge.local.launcher import LocalLauncher
from stepwave.edge.local.zygote import Zygote
from stepwave.engine import Inbox
from tests.conftest import children

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="process trees are followed through /proc")

PATIENCE_S = 30.0


class Bench:
    """One launcher; `ends` and `back` are what it has told, in order."""

    def __init__(self, folder: Path) -> None:
        (folder / "logs").mkdir()
        self.folder = folder
        self.inbox = Inbox()
        self.zygote = Zygote(os.environ)
        self.launcher = LocalLauncher(self.inbox, folder, self.zygote)
        self.ends: dict[str, Exited] = {}
        self.back: list[str] = []

    def order(self, id: str, script: str = "", **fields: object) -> Launch:
        """A step that writes its id into the journal, and does what the script says."""
        argv = ("/bin/sh", "-c", f"echo {id} >> journal; {script}")
        settings = {"cwd": str(self.folder), "env": {}, "stdin": None, "limits": Limits(), **fields}
        return Launch(id, 1, argv, log=f"logs/{id}.log", **settings)  # type: ignore[arg-type]

    def start(self, first: Launch, *rest: Launch) -> None:
        self.launcher.obey(first)
        if rest:
            self.launcher.obey(Follow(first.step, 1, rest))

    def wait(self, wanted: Callable[[], object]) -> None:
        give_up = time.monotonic() + PATIENCE_S
        while not wanted():
            assert time.monotonic() < give_up, f"{self.ends.keys()} have ended, {self.back} came back"
            for told in self.inbox.wait(1.0):
                self.note(told)

    def note(self, told: Signal) -> None:
        if isinstance(told, Returned):
            self.back += told.steps
        else:
            assert isinstance(told, Exited) and told.step not in self.ends
            self.ends[told.step] = told

    def resolved(self, *ids: str) -> None:
        """Wait until all of these have ended or come back, and none of them both."""
        self.wait(lambda: {*self.ends, *self.back} >= {*ids})
        assert not {*self.ends} & {*self.back}
        assert sorted([*self.ends, *self.back]) == sorted(ids)

    def is_told_something(self) -> None:
        """Wait until there is something to be read, and do not read it."""
        assert select.select([slot.channel for slot in self.launcher._slots], [], [], PATIENCE_S)[0]

    @property
    def journal(self) -> list[str]:
        path = self.folder / "journal"
        return path.read_text().split() if path.exists() else []


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.launcher.close()


def assert_told_as_it_was(bench: Bench) -> None:
    """What ran is what has ended, and each was named by the one before it."""
    assert bench.journal == list(bench.ends)
    for end, after in zip(bench.ends.values(), [*list(bench.ends)[1:], ""], strict=True):
        assert end.follower == after
    moments = [end.at or 0.0 for end in bench.ends.values()]
    assert moments == sorted(moments)


def test_they_start_one_after_the_other_until_the_first_that_is_slow(bench: Bench) -> None:
    """All of them do, where the machine has time for them; nobody is lost where it has not."""
    orders = [bench.order(f"s{n}", f"echo says s{n}") for n in range(6)]
    bench.start(*orders)
    bench.resolved(*(order.step for order in orders))
    assert_told_as_it_was(bench)
    assert bench.journal[0] == "s0" and bench.journal == [f"s{n}" for n in range(len(bench.journal))]
    for id in bench.ends:
        assert (bench.folder / f"logs/{id}.log").read_text() == f"says {id}\n"
    bench.start(bench.order("again"))
    bench.wait(lambda: "again" in bench.ends)


def test_a_failure_is_followed_by_nobody(bench: Bench) -> None:
    bench.start(bench.order("bad", "exit 3"), bench.order("next"))
    bench.resolved("bad", "next")
    assert bench.ends["bad"].code == 3 and bench.back == ["next"] and bench.journal == ["bad"]


def test_nor_is_one_that_could_not_start_or_leaves_something_behind(bench: Bench) -> None:
    missing = bench.order("missing")._replace(argv=("no-such-program",))
    bench.start(missing, bench.order("a"))
    bench.resolved("missing", "a")
    bench.start(bench.order("leaves", "sleep 1000 &"), bench.order("b"))
    bench.resolved("missing", "a", "leaves", "b")
    assert bench.ends["leaves"].left and bench.back == ["a", "b"] and bench.journal == ["leaves"]


def test_a_long_step_gives_them_back_while_it_runs(bench: Bench) -> None:
    bench.start(bench.order("long", "read -r go < gate"), bench.order("a"), bench.order("b"))
    os.mkfifo(bench.folder / "gate")
    bench.wait(lambda: len(bench.back) == 2)
    assert not bench.ends
    (bench.folder / "gate").write_text("go\n")
    bench.resolved("long", "a", "b")
    assert bench.journal == ["long"]


def test_what_comes_too_late_comes_back(bench: Bench) -> None:
    bench.start(bench.order("first"))
    bench.wait(lambda: "first" in bench.ends)
    bench.launcher.obey(Follow("first", 1, (bench.order("late"),)))
    bench.resolved("first", "late")
    assert bench.back == ["late"]


def test_what_was_promised_behind_a_promise_that_came_back_does_too(bench: Bench) -> None:
    """The second order is on its way while the supervisor gives the first one back."""
    os.mkfifo(bench.folder / "gate")
    bench.start(bench.order("long", "read -r go < gate"), bench.order("a"))
    bench.is_told_something()
    bench.launcher.obey(Follow("long", 1, (bench.order("b"), bench.order("c"))))
    bench.wait(lambda: len(bench.back) == 3)
    (bench.folder / "gate").write_text("go\n")
    bench.resolved("long", "a", "b", "c")
    assert bench.journal == ["long"]


def test_they_are_called_back(bench: Bench) -> None:
    os.mkfifo(bench.folder / "gate")
    bench.start(bench.order("first", "read -r go < gate"), bench.order("a"), bench.order("b"))
    bench.launcher.obey(Recall("first", 1))
    bench.wait(lambda: len(bench.back) == 2)
    bench.launcher.obey(Recall("first", 1))
    (bench.folder / "gate").write_text("go\n")
    bench.resolved("first", "a", "b")
    assert bench.journal == ["first"]


def test_an_order_to_stop_calls_them_back(bench: Bench) -> None:
    bench.start(bench.order("first", "sleep 1000"), bench.order("a"))
    bench.launcher.obey(Stop("first", 1, StopRule()))
    bench.resolved("first", "a")
    assert bench.ends["first"].stopped and bench.back == ["a"]


def test_nobody_starts_while_the_run_stands_still(bench: Bench) -> None:
    bench.start(bench.order("first"), bench.order("a", "sleep 0.001"), bench.order("b"), bench.order("c"))
    bench.launcher.freeze()
    bench.launcher.thaw()
    bench.resolved("first", "a", "b", "c")
    assert_told_as_it_was(bench)


def test_a_killed_supervisor_has_begun_what_it_had_begun(bench: Bench) -> None:
    """The second step kills it before it has told of the first one. What it had not begun may start elsewhere."""
    orders = [bench.order("a"), bench.order("b", "kill -9 $PPID; sleep 1000"), bench.order("c"), bench.order("d")]
    bench.start(*orders)
    bench.resolved("a", "b", "c", "d")
    ran = bench.journal
    assert list(bench.ends) == ran and bench.back == ["a", "b", "c", "d"][len(ran) :]
    if "b" in ran:  # else the machine was too slow for them to follow each other
        assert bench.ends["b"].problem == "its supervisor was killed, and the step with it"
        assert bench.ends["a"].follower == "b" and bench.ends["b"].follower == ""


def test_a_killed_zygote_takes_them_all_with_it(bench: Bench) -> None:
    orders = [bench.order("a"), bench.order("b", "sleep 1000"), bench.order("c")]
    bench.start(*orders)
    bench.is_told_something()
    os.kill(bench.zygote.pid, 9)
    bench.resolved("a", "b", "c")
    assert bench.journal == list(bench.ends)[: len(bench.journal)]  # the last one may have had no time to write
    assert all(end.code == 0 or end.problem for end in bench.ends.values())


def test_each_has_its_own_input_limits_and_output(bench: Bench) -> None:
    text = "x" * 3000
    orders = [
        bench.order("in", "wc -c", stdin=Stdin(text=text)),
        bench.order("files", "ulimit -n", limits=Limits(open_files=33)),
        bench.order("kept", "echo out; echo err >&2", keep_output=True),
        bench.order("env", "echo $MINE", env={"MINE": "yes"}),
        bench.order("there", "pwd", cwd="/"),
    ]
    todo = [*orders[:-1], orders[-1]._replace(argv=("pwd",))]
    while todo:  # who comes back is started anew
        bench.back = []
        bench.start(*todo)
        bench.wait(lambda todo=todo: {*bench.ends, *bench.back} >= {one.step for one in todo})  # type: ignore[misc]
        todo = [order for order in todo if order.step in bench.back]
    said = {id: (bench.folder / f"logs/{id}.log").read_text().strip() for id in bench.ends if id != "kept"}
    assert said == {"in": "3000", "files": "33", "env": "yes", "there": "/"}
    assert (bench.ends["kept"].stdout, bench.ends["kept"].stderr) == ("out\n", "err\n")


def test_a_full_socket_of_reports_does_not_stand_in_the_way(bench: Bench) -> None:
    """Each brings 128 KB of output; the runner reads none of it until all has been ordered."""
    noise = "head -c 65536 /dev/zero | tr '\\0' x; head -c 65536 /dev/zero | tr '\\0' y >&2"
    orders = [bench.order(f"s{n}", noise, keep_output=True, stdin=Stdin(text="z" * 4000)) for n in range(8)]
    bench.start(*orders)
    bench.is_told_something()
    bench.launcher.obey(Recall("s0", 1))
    bench.resolved(*(order.step for order in orders))
    assert bench.journal == list(bench.ends)
    assert children(bench.zygote.pid)


def test_what_an_idle_supervisor_had_not_read_when_it_was_killed_comes_back(bench: Bench) -> None:
    bench.launcher.obey(bench.order("a"))
    (slot,) = bench.launcher._slots
    assert select.select([slot.channel], [], [], PATIENCE_S)[0]
    (supervisor,) = children(bench.zygote.pid)
    os.kill(supervisor, signal.SIGSTOP)
    bench.launcher.obey(Follow("a", 1, (bench.order("b"),)))
    bench.wait(lambda: "a" in bench.ends)
    os.kill(supervisor, signal.SIGKILL)
    give_up = time.monotonic() + PATIENCE_S
    while supervisor in children(bench.zygote.pid):
        assert time.monotonic() < give_up
        select.select([], [], [], 0.005)
    bench.launcher.obey(bench.order("c"))  # before anybody has read that it is gone
    bench.wait(lambda: "c" in bench.ends)
    assert (bench.back, bench.ends["a"].code, bench.ends["c"].code) == (["b"], 0, 0)
