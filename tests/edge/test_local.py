"""The local launcher and its supervisors, with real processes of every unpleasant kind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepwave.core.events import Exited, Launch, Signal, Silent, Stop, stdout_log
from stepwave.core.model import Limits, Stdin, StopRule
from stepwave.edge.local.launcher import LocalLauncher
from stepwave.edge.local.zygote import Zygote
from stepwave.engine import Inbox
from tests.conftest import children

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="process trees are followed through /proc")

LONG = 30.0  # seconds until a test gives up waiting; none of them waits so long unless something is broken


class Bench:
    """A launcher, its inbox and a folder; `run` waits for the end of one step."""

    def __init__(self, folder: Path) -> None:
        (folder / "logs").mkdir()
        self.folder = folder
        self.inbox = Inbox()
        self.launcher = LocalLauncher(self.inbox, folder, Zygote(os.environ))
        self.ends: dict[str, Exited] = {}
        self.silences: list[Silent] = []

    def start(self, id: str, *argv: str, **fields: object) -> None:
        settings = {"cwd": str(self.folder), "env": {}, "stdin": None, "limits": Limits(), **fields}
        self.launcher.obey(Launch(id, 1, argv, log=f"logs/{id}.log", **settings))  # type: ignore[arg-type]

    def end(self, id: str) -> Exited:
        give_up = time.monotonic() + LONG
        while id not in self.ends:
            assert time.monotonic() < give_up, f"{id} does not end"
            self.collect(1.0)
        return self.ends[id]

    def collect(self, timeout_s: float) -> list[Signal]:
        signals = self.inbox.wait(timeout_s)
        for item in signals:
            if isinstance(item, Silent):
                assert item.step not in self.ends, "told after the end"
                self.silences.append(item)
                continue
            assert isinstance(item, Exited)
            assert item.step not in self.ends, "answered twice"
            self.ends[item.step] = item
        return signals

    def run(self, *argv: str, **fields: object) -> Exited:
        id = f"step{len(self.ends)}"
        self.start(id, *argv, **fields)
        return self.end(id)

    def shell(self, script: str, **fields: object) -> Exited:
        return self.run("/bin/sh", "-c", script, **fields)

    def log(self, end: Exited) -> str:
        return (self.folder / f"logs/{end.step}.log").read_text()

    def stop(self, id: str, *, force: bool = False) -> None:
        self.launcher.obey(Stop(id, 1, StopRule(), force))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.launcher.close()


def wait_for(path: Path) -> str:
    """The content of a file that a step is about to write."""
    give_up = time.monotonic() + LONG
    while not path.exists() or not path.read_text().strip():
        assert time.monotonic() < give_up, f"{path} is not written"
        select_nothing(0.005)
    return path.read_text().strip()


def select_nothing(seconds: float) -> None:
    import select

    select.select([], [], [], seconds)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


# --- how a step begins --------------------------------------------------------------------------------


def test_an_exit_status_is_handed_back(bench: Bench) -> None:
    assert bench.shell("exit 7").code == 7
    end = bench.shell("kill -SEGV $$")
    assert (end.code, end.signal) == (None, signal.SIGSEGV)


def test_a_step_has_three_descriptors_nothing_on_stdin_and_no_signal_blocked_or_ignored(bench: Bench) -> None:
    end = bench.shell("ls /proc/self/fd | wc -l; cat; grep -E 'Sig(Blk|Ign)' /proc/self/status")
    words = bench.log(end).split()
    assert words[0] == "4"  # 0, 1, 2 and the one that ls reads the folder with
    libc_s_own = 0x180000000  # 32 and 33, which posix_spawn itself ignores and no program may use
    assert [int(mask, 16) & ~libc_s_own for mask in words[2::2]] == [0, 0]


def test_the_environment_is_laid_over_the_callers(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    end = bench.shell("echo $GREETING ${HOME-unset} $PATH", env={"GREETING": "hello", "HOME": None})
    assert bench.log(end).split() == ["hello", "unset", os.environ["PATH"]]


def test_the_program_is_looked_for_on_the_steps_own_path(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    tool = tmp_path / "bin" / "tool"
    tool.write_text("echo from the tool\n")  # no first line `#!`: the shell reads it, as execvp does
    tool.chmod(0o755)
    assert bench.run("tool").problem == "command not found: `tool`"
    end = bench.run("tool", env={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"})
    assert (end.code, bench.log(end)) == (0, "from the tool\n")


@pytest.mark.parametrize(
    ("argv", "fields", "problem"),
    [
        (("no-such-command",), {}, "command not found: `no-such-command`"),
        (("./no-such-script.sh",), {}, "command not found: `./no-such-script.sh`"),
        (("/etc/passwd",), {}, "`/etc/passwd` is not executable"),
        (("true",), {"cwd": "/no/such/folder"}, "working directory `/no/such/folder`: no such file or directory"),
        (("true",), {"stdin": Stdin(path="/no/file")}, "could not be started: no such file or directory: `/no/file`"),
        (("true", "x" * 3_000_000), {}, "its arguments and environment are larger than the system allows"),
    ],
)
def test_what_cannot_be_started_is_told_in_a_sentence(
    bench: Bench, argv: tuple[str, ...], fields: dict[str, object], problem: str
) -> None:
    assert bench.run(*argv, **fields).problem == problem
    assert bench.run("true").code == 0, "the slot is still good"


def test_stdin_is_a_text_or_a_file(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("from a file\n")
    assert bench.log(bench.run("cat", stdin=Stdin(text="typed\n" * 50_000))) == "typed\n" * 50_000
    assert bench.log(bench.run("cat", stdin=Stdin(path=str(tmp_path / "in.txt")))) == "from a file\n"


def test_limits_bind_the_step_and_not_the_supervisor(bench: Bench) -> None:
    limits = Limits(memory_bytes=64 << 20, open_files=16)
    end = bench.shell("ulimit -v; ulimit -n", limits=limits)
    assert bench.log(end).split() == ["65536", "16"]
    assert bench.log(bench.shell("ulimit -v")).split() == ["unlimited"]
    assert bench.run("no-such-command", limits=limits).problem == "command not found: `no-such-command`"


# --- what it prints -----------------------------------------------------------------------------------


def test_every_byte_is_kept_in_order_and_a_silent_step_leaves_no_file(bench: Bench) -> None:
    end = bench.shell("printf a; printf b >&2; printf '\\377\\000c'")
    assert (bench.folder / f"logs/{end.step}.log").read_bytes() == b"ab\xff\0c"
    assert end.log_bytes == 5
    silent = bench.run("true")
    assert silent.log_bytes == 0
    assert not (bench.folder / f"logs/{silent.step}.log").exists()


def test_a_step_that_reopens_its_stderr_does_not_lose_its_log(bench: Bench) -> None:
    end = bench.shell("echo one; echo two > /dev/stderr; echo three")
    assert bench.log(end) == "one\ntwo\nthree\n"


def test_stdout_comes_back_where_it_was_asked_for(bench: Bench) -> None:
    end = bench.shell("echo out; echo err >&2", keep_output=True)
    assert (end.stdout, end.stderr) == ("out\n", "err\n")
    assert sorted(bench.log(end).split()) == ["err", "out"]
    assert (bench.folder / stdout_log(f"logs/{end.step}.log")).read_text() == "out\n"
    large = bench.shell("head -c 70000 /dev/zero", keep_output=True)
    assert (large.stdout, large.log_bytes) == (None, 70000)


def test_ten_megabytes_without_a_newline(bench: Bench) -> None:
    end = bench.shell("head -c 10000000 /dev/zero | tr '\\0' x")
    assert end.log_bytes == 10_000_000 == (bench.folder / f"logs/{end.step}.log").stat().st_size


def test_a_log_that_cannot_be_written_in_full_fails_its_step(bench: Bench) -> None:
    (bench.folder / "logs/full.log").symlink_to("/dev/full")
    bench.start("full", "/bin/sh", "-c", "head -c 300000 /dev/zero; exit 0")
    end = bench.end("full")
    assert end.problem == "its log could not be written: No space left on device"


# --- how it ends --------------------------------------------------------------------------------------

TREES = {
    "direct": "exec sleep 1000",
    "ignores TERM": "trap '' TERM; while :; do sleep 1000; done",
    "grandchild": "sleep 1000 & wait",
    "grandchild that ignores TERM": "(trap '' TERM; sleep 1000; sleep 1000) & wait",
    "own session": "setsid sleep 1000 & wait",
    "daemon": "(setsid sh -c 'sleep 1000 & exec sleep 1001' >/dev/null 2>&1 &) ; sleep 1000",
    "empty environment": "env -i setsid /bin/sleep 1000 & wait",
}


@pytest.mark.parametrize("tree", TREES)
def test_a_forced_stop_leaves_nothing_alive(bench: Bench, tree: str) -> None:
    bench.start("x", "/bin/sh", "-c", f"echo $$ > pid; {TREES[tree]}")
    leader = int(wait_for(bench.folder / "pid"))
    supervisor = int(Path(f"/proc/{leader}/stat").read_text().rpartition(")")[2].split()[1])
    bench.stop("x", force=True)
    end = bench.end("x")
    assert end.stopped
    assert not is_alive(leader)
    assert children(supervisor) == set()


# Not in sh: dash may end at `wait` before it comes to its trap.
PARENT_AND_CHILD = """
import os, signal
role, code = "parent", 3
def end(number, frame):
    os.write(1, f"{role}\\n".encode())
    os._exit(code)
signal.signal(signal.SIGTERM, end)
reader, writer = os.pipe()
if os.fork() == 0:
    role, code = "child", 0
    os.write(writer, b"x")
else:
    os.read(reader, 1)
    open("new", "w").write("ready")
    os.rename("new", "ready")
while True:
    signal.pause()
"""


def test_a_gentle_stop_reaches_the_whole_tree(bench: Bench) -> None:
    bench.start("x", sys.executable, "-c", PARENT_AND_CHILD)
    wait_for(bench.folder / "ready")
    bench.stop("x")
    end = bench.end("x")
    assert (end.code, end.stopped) == (3, True)
    assert sorted(bench.log(end).split()) == ["child", "parent"]


def test_an_exit_that_has_happened_is_not_a_stop(bench: Bench) -> None:
    bench.start("x", "true")
    wait_until_idle(bench)
    bench.stop("x")
    assert bench.end("x").stopped is False


def wait_until_idle(bench: Bench) -> None:
    """Until the supervisor has sent its answer, which nobody has read yet."""
    import select

    channel = next(iter(bench.launcher._busy.values())).channel
    assert select.select([channel], [], [], LONG)[0]


@pytest.mark.parametrize(
    "leaves",
    ["sleep 1000 &", "setsid sleep 1000 &", "(trap '' TERM; sleep 1000; sleep 1000) &", "env -i setsid sleep 1000 &"],
)
def test_what_a_step_leaves_behind_is_killed_and_told_and_delays_nobody(bench: Bench, leaves: str) -> None:
    began = time.monotonic()
    end = bench.shell(f"{leaves} exit 0")
    assert end.code == 0
    assert time.monotonic() - began < LONG / 3
    assert any("sleep" in line for line in end.left) or any("trap" in line for line in end.left)
    assert all(not is_alive(int(line.split()[1].rstrip(":"))) for line in end.left)


def test_a_helper_that_only_needs_a_moment_longer_is_neither_killed_nor_told(bench: Bench) -> None:
    end = bench.run("bash", "-c", "echo one > >(sleep 0.02; cat); exit 0")
    assert (bench.log(end), end.left) == ("one\n", ())


def test_a_stopped_tree_stands_still_and_goes_on(bench: Bench) -> None:
    # No command in the loop: a shell whose child is stopped on its way to exec(2) stands in vfork(2), and is no "T".
    bench.start("x", "/bin/sh", "-c", "echo $$ > pid; while [ ! -e go ]; do :; done")
    pid = int(wait_for(bench.folder / "pid"))
    bench.launcher.freeze()
    give_up = time.monotonic() + LONG
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        assert time.monotonic() < give_up
    (bench.folder / "go").touch()
    assert bench.collect(0.1) == []
    bench.launcher.thaw()
    assert bench.end("x").code == 0


# --- when the helpers die -------------------------------------------------------------------------------


def supervisor_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def wait_until_gone(*pids: int) -> None:
    give_up = time.monotonic() + LONG
    while any(is_alive(pid) for pid in pids):
        assert time.monotonic() < give_up, "still alive"
        select_nothing(0.005)


def test_a_killed_supervisor_takes_its_step_along_and_the_next_step_runs(bench: Bench) -> None:
    bench.start("x", "/bin/sh", "-c", "(trap '' TERM; echo $$ > pid; exec setsid sleep 1000)")
    leader = int(wait_for(bench.folder / "pid"))
    os.kill(supervisor_of(leader), signal.SIGKILL)
    assert bench.end("x").problem == "its supervisor was killed, and the step with it"
    wait_until_gone(leader)
    assert bench.run("true").code == 0


def test_a_killed_supervisor_costs_no_other_step(bench: Bench) -> None:
    """What the others start while the tree of the killed one is looked for is theirs."""
    forks = "echo $$ > NAME; while [ ! -e go ]; do /bin/true; done; echo NAME"
    for other in "ab":
        bench.start(other, "/bin/sh", "-ec", f"test -n x; {forks.replace('NAME', other)}")
    for other in "ab":
        wait_for(bench.folder / other)
    for n in range(12):
        bench.start(f"x{n}", "/bin/sh", "-c", f"echo $$ > pid{n}; exec sleep 1000")
        leader = int(wait_for(bench.folder / f"pid{n}"))
        os.kill(supervisor_of(leader), signal.SIGKILL)
        assert bench.end(f"x{n}").problem == "its supervisor was killed, and the step with it"
        wait_until_gone(leader)
    (bench.folder / "go").touch()
    assert [(bench.end(other).code, bench.log(bench.end(other))) for other in "ab"] == [(0, "a\n"), (0, "b\n")]


def test_a_supervisor_that_was_killed_while_it_had_nothing_to_do_costs_no_step(bench: Bench) -> None:
    bench.shell("echo $PPID > idle")
    idle = int(wait_for(bench.folder / "idle"))
    os.kill(idle, signal.SIGKILL)
    wait_until_gone(idle)
    assert bench.run("true").code == 0  # before anybody has read that it is gone


def test_a_killed_zygote_takes_everything_along(bench: Bench) -> None:
    bench.start("x", "/bin/sh", "-c", "echo $$ > pid; exec setsid sleep 1000")
    leader = int(wait_for(bench.folder / "pid"))
    os.kill(bench.launcher._zygote.pid, signal.SIGKILL)
    assert bench.end("x").problem is not None
    wait_until_gone(leader)


def test_closing_kills_and_reaps(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start("x", "/bin/sh", "-c", "trap '' TERM; echo $$ > pid; setsid sleep 1000 & while :; do sleep 1000; done")
    leader = int(wait_for(bench.folder / "pid"))
    bench.launcher.close()
    assert not is_alive(leader)


RUNNER = """
import os, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.edge.test_local import Bench
bench = Bench(Path({folder!r}))
for n, script in enumerate({scripts!r}):
    bench.start(f"s{{n}}", "/bin/sh", "-c", f"echo $$ > pid{{n}}; " + script)
bench.collect(1000)
"""


@pytest.mark.parametrize("group", [False, True])
def test_kill_9_of_the_runner_leaves_no_process(tmp_path: Path, group: bool) -> None:
    root = str(Path(__file__).resolve().parents[2])
    ours = f"1000.{os.getpid()}{int(group)}"  # seconds that nobody else on this machine sleeps for
    scripts = [tree.replace("1001", "1000").replace("1000", ours) for tree in TREES.values()]
    program = RUNNER.format(root=root, folder=str(tmp_path), scripts=scripts)
    runner = subprocess.Popen([sys.executable, "-c", program], start_new_session=True)
    leaders = [int(wait_for(tmp_path / f"pid{n}")) for n in range(len(TREES))]
    helpers = {supervisor_of(pid) for pid in leaders}
    zygotes = {supervisor_of(pid) for pid in helpers}
    (os.killpg if group else os.kill)(runner.pid, signal.SIGKILL)
    runner.wait()
    wait_until_gone(*leaders, *helpers, *zygotes)
    strays = subprocess.run(["pgrep", "-x", "-f", f"(/bin/)?sleep {ours}"], capture_output=True, text=True, check=False)
    assert strays.stdout == ""
