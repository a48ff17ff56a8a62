"""What every launcher promises of an attempt: the local one and each engine, by the same tests."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

from stepwave.core.events import Begun, Exited, Held, Launch, Order, Signal, Silent, Stop, stderr_log, stdout_log
from stepwave.core.model import Limits, Stdin, StopRule
from stepwave.core.tracing import trace_of
from stepwave.edge.executors.choose import open_engine
from stepwave.edge.executors.contract import Work
from stepwave.edge.executors.placing import Placing
from stepwave.edge.local import afar
from stepwave.edge.local.launcher import LocalLauncher
from stepwave.edge.local.zygote import Zygote
from stepwave.engine import Inbox
from tests.edge.executors.cluster import wait_until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="process trees are followed through /proc")

WORK = Work(afar.carry_out, afar.stop, afar.freeze, afar.end)
FORMS = ((b"hunter2hunter2", False),)
ENGINES = ["local", "python:concurrent.futures:ThreadPoolExecutor", "python:tests.edge.executors.pools:spawned",
           "python:tests.edge.executors.pools:loky", "dask"]  # fmt: skip


class Bench:
    """A launcher, its inbox and a folder. `start` returns the name by which `end` knows the attempt."""

    def __init__(self, folder: Path, executor: str, closing: ExitStack) -> None:
        (folder / "logs").mkdir()
        self.folder = folder
        self.inbox = Inbox()
        trace = trace_of("20260131-142503-7f3a9c")
        self.launcher: LocalLauncher | Placing
        if executor == "local":
            self.launcher = LocalLauncher(self.inbox, folder, Zygote(os.environ), FORMS, trace)
        else:
            engine = open_engine(executor, 2)
            closing.callback(engine.close)
            self.launcher = Placing(engine, WORK, self.inbox, folder, os.environ, FORMS, trace)
        closing.callback(self.launcher.close)
        self.number = 0
        self.ends: dict[str, Exited] = {}
        self.silent: list[str] = []
        self.held: list[str] = []
        self.begun: list[str] = []

    def obey(self, order: Order) -> None:
        self.launcher.obey(order)

    def start(self, *argv: str, **fields: object) -> str:
        self.number += 1
        id = f"step {self.number}"
        settings = {"cwd": str(self.folder), "env": {}, "stdin": None, "limits": Limits(), **fields}
        self.obey(Launch(id, 1, argv, log=f"logs/{self.number}.log", **settings))  # type: ignore[arg-type]
        return id

    def shell(self, script: str, **fields: object) -> str:
        return self.start("/bin/sh", "-c", script, **fields)

    def stop(self, id: str, *, force: bool = False) -> None:
        self.obey(Stop(id, 1, StopRule(), force))

    def collect(self) -> bool:
        signals: list[Signal] = self.inbox.wait(0.05)
        for one in signals:
            if isinstance(one, Silent):
                assert one.step not in self.ends, "told after the end"
                self.silent.append(one.step)
            elif isinstance(one, Held):
                self.held.append(one.step)
            elif isinstance(one, Begun):
                assert one.step in self.held, "it was not said to wait"
                assert one.step not in self.ends, "told after the end"
                self.begun.append(one.step)
            else:
                assert isinstance(one, Exited)
                assert one.step not in self.ends, "answered twice"
                self.ends[one.step] = one
        return bool(signals)

    def until(self, holds: Callable[[], object], what: str) -> None:
        """What is told meanwhile is collected: some engines do only then what was ordered."""
        wait_until(lambda: (self.collect(), holds())[1], what)

    def end(self, id: str) -> Exited:
        while id not in self.ends:
            wait_until(self.collect, f"{id} ends")
        return self.ends[id]

    def run(self, script: str, **fields: object) -> Exited:
        return self.end(self.shell(script, **fields))

    def read(self, name: str) -> str:
        self.until((self.folder / name).exists, f"{name} is written")
        return (self.folder / name).read_text()

    def log(self, end: Exited) -> str:
        return (self.folder / f"logs/{end.step.split()[1]}.log").read_text()


@pytest.fixture(scope="module", params=ENGINES)
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Opened once for all tests; what is started for the first job, and stays, is here before the first test."""
    executor, folder = request.param, tmp_path_factory.mktemp("run")
    with ExitStack() as closing:
        if executor == "dask":
            executor = request.getfixturevalue("cluster").executor
        if "loky" in executor and find_spec("loky") is None:
            pytest.skip("loky is not installed")
        bench = Bench(folder, executor, closing)
        ends = [bench.shell("true") for _ in range(4)]
        for id in ends:
            bench.end(id)
        yield bench


def is_alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


# --- how an attempt begins --------------------------------------------------------------------------------------------


def test_words_folder_environment_and_standard_input_are_those_of_the_launch(bench: Bench) -> None:
    script = 'pwd; echo "$1 $COLOR ${HOME-none} $TRACEPARENT"; cat'
    argv = ("/bin/sh", "-c", script, "sh", "a  b")
    env = {"COLOR": "blue", "HOME": None}
    end = bench.end(bench.start(*argv, cwd="/usr/lib", env=env, stdin=Stdin(text="from afar")))
    assert end.code == 0
    folder, words, rest = bench.log(end).split("\n")
    assert folder == "/usr/lib"
    assert words.startswith("a  b blue none 00-")
    assert rest == "from afar"


def test_the_environment_is_that_of_the_caller(bench: Bench) -> None:
    end = bench.run("echo $PATH")
    assert bench.log(end) == f"{os.environ['PATH']}\n"


def test_limits_hold(bench: Bench) -> None:
    end = bench.run("ulimit -n", limits=Limits(open_files=37))
    assert bench.log(end) == "37\n"


def test_what_cannot_be_started_says_why(bench: Bench) -> None:
    end = bench.end(bench.start("no-such-command"))
    assert (end.code, end.problem) == (None, "command not found: `no-such-command`")
    end = bench.run("true", cwd="/no/such/folder")
    assert end.problem == "working directory `/no/such/folder`: no such file or directory"


# --- how it ends ------------------------------------------------------------------------------------------------------


def test_an_exit_status_a_signal_and_what_it_used_come_back(bench: Bench) -> None:
    end = bench.run("exit 7")
    assert (end.code, end.signal, end.problem, end.stopped, end.log_bytes) == (7, None, None, False, 0)
    assert end.usage is not None
    assert end.usage.peak_rss_bytes > 0
    assert bench.run("kill -SEGV $$").signal == signal.SIGSEGV


def test_output_is_kept_apart_and_brought_back_where_it_was_asked_for(bench: Bench) -> None:
    end = bench.run("echo out; echo err >&2", keep_output=True, keep_tail=True)
    log = f"logs/{end.step.split()[1]}.log"
    assert (end.stdout, end.stderr, end.stdout_bytes, end.log_bytes) == ("out\n", "err\n", 4, 8)
    assert sorted(end.tail.split()) == ["err", "out"]
    assert (bench.folder / stdout_log(log)).read_text() == "out\n"
    assert (bench.folder / stderr_log(log)).read_text() == "err\n"


def test_a_long_output_is_all_there(bench: Bench) -> None:
    end = bench.run("seq 100000")
    assert end.log_bytes == len(bench.log(end)) == 588_895


def test_of_too_much_output_the_newest_is_kept_and_the_rest_is_told(bench: Bench) -> None:
    end = bench.run("seq 100000", limits=Limits(output_bytes=10_000))
    assert bench.log(end).endswith("\n100000\n")
    assert end.dropped_bytes >= 578_000


def test_secrets_are_masked_before_anything_is_written(bench: Bench) -> None:
    end = bench.run("echo the word is hunter2hunter2", keep_output=True)
    assert "hunter2" not in bench.log(end)
    assert "hunter2" not in (end.stdout or "")
    assert bench.log(end).startswith("the word is ")


def test_what_it_leaves_behind_is_killed_and_named(bench: Bench) -> None:
    end = bench.run("sleep 1000 & echo $! > left.pid")
    assert end.code == 0
    assert ["sleep 1000" in line for line in end.left] == [True]
    assert not is_alive(int(bench.read("left.pid")))


def test_silence_is_told_while_it_runs(bench: Bench) -> None:
    id = bench.shell("echo first; exec sleep 1000", idle_s=0.05)
    bench.until(lambda: id in bench.silent, "its silence is told")
    bench.stop(id, force=True)
    assert bench.end(id).stopped
    assert bench.silent.count(id) == 1


def test_many_at_once_are_each_answered_once(bench: Bench) -> None:
    started = [bench.shell(f"exit {n}") for n in range(40)]
    assert [bench.end(id).code for id in started] == list(range(40))


# --- how it is stopped ------------------------------------------------------------------------------------------------


def test_a_stop_is_the_signal_of_the_rule(bench: Bench) -> None:
    id = bench.shell("trap 'echo bye; exit 3' TERM; echo > up; while :; do sleep 0.05; done")
    bench.read("up")
    bench.stop(id)
    end = bench.end(id)
    assert (end.code, end.stopped, bench.log(end)[-4:]) == (3, True, "bye\n")


def test_a_stop_by_force_takes_the_whole_tree(bench: Bench) -> None:
    id = bench.shell("trap '' TERM; sh -c 'echo $$ > deep.pid; exec sleep 1000' & wait")
    pid = int(bench.read("deep.pid"))
    bench.stop(id, force=True)
    end = bench.end(id)
    assert (end.signal, end.stopped) == (signal.SIGKILL, True)
    assert not is_alive(pid)


def test_what_has_not_begun_is_not_begun_after_a_stop(bench: Bench) -> None:
    """More than there are slots, all stopped as soon as the order has gone out."""
    script = "while [ ! -e gate ]; do sleep 0.05; done; echo > begun"
    started = [bench.shell(script) for _ in range(8)]
    bench.collect()
    for id in started:
        bench.stop(id, force=True)
    assert all(bench.end(id).stopped for id in started)
    (bench.folder / "gate").touch()
    assert bench.run("test -e begun").code == 1


def test_a_stop_of_what_has_ended_is_nothing(bench: Bench) -> None:
    end = bench.run("true")
    bench.stop(end.step)
    assert bench.run("exit 4").code == 4


def test_at_the_end_everything_is_killed(bench: Bench) -> None:
    """The last test of each engine: it is closed here."""
    bench.shell("echo $$ > last.pid; exec sleep 1000")
    pid = int(bench.read("last.pid"))
    bench.launcher.close()
    wait_until(lambda: not is_alive(pid), "it is gone")
    assert not list(bench.folder.glob(".worker-*"))
