"""With make around it, and make within it: real makes and ninjas, and never more than N at work.

What is at work notes its beginning and its end in one file, under a lock. Makes and ninjas are those of the machine and
of PyPI; a makefile counts the tokens when everything else has ended.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path
from textwrap import dedent

import pytest

from stepwave.cli.quick import spelled_out
from tests.cli.invoke import (
    MARK,
    PATIENCE_S,
    Ended,
    Gate,
    assert_alone,
    assert_polite,
    clean_environment,
    end,
    flow,
    started,
    stepwave,
    survivors,
)
from tests.edge.test_jobserver import Fifo, await_count

WORK = """
import fcntl, pathlib, sys, time
def note(sign):
    with open("log", "a") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        log.write(sign + sys.argv[1] + "\\n")
def most():
    now = highest = 0
    for line in open("log"):
        now += 1 if line[0] == "+" else -1
        highest = max(highest, now)
    return highest
note("+")
wanted, give_up = int(pathlib.Path("wanted").read_text()), time.monotonic() + 20
while most() < wanted and time.monotonic() < give_up:
    time.sleep(0.01)
time.sleep(0.05)
note("-")
"""
"""Ends soon once there have been as many at work as are `wanted`: so whether they come does not hang on their speed."""
COUNT = """
import array, fcntl, os, re, termios
fifo, pipe = re.search(r"auth=(?:fifo:(\\S+)|(\\d+))", os.environ["MAKEFLAGS"]).groups()
there = array.array("i", [0])
fcntl.ioctl(os.open(fifo, os.O_RDWR) if fifo else int(pipe), termios.FIONREAD, there)
print("tokens", there[0])
"""
SIX = "".join(f"\n  - {{id: s{n}, run: python3 work.py s{n}}}" for n in range(6))
PEERS = Path(sys.executable).parent


@cache
def found(name: str, version: tuple[int, int], below: tuple[int, int] = (99, 0)) -> str | None:
    """Such a program on this machine."""
    for candidate in (PEERS / name, shutil.which(name), shutil.which(f"g{name}"), f"/usr/bin/{name}"):
        if candidate is None or not Path(candidate).exists():
            continue
        said = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False).stdout
        numbers = re.search(r"(\d+)\.(\d+)", said)
        if numbers and version <= (int(numbers[1]), int(numbers[2])) < below:
            return str(candidate)
    return None


def the(name: str, version: tuple[int, int], below: tuple[int, int] = (99, 0)) -> str:
    """Such a program, or the test is skipped."""
    program = found(name, version, below)
    if program is None:
        pytest.skip(f"no {name} of {'.'.join(map(str, version))} or later is installed")
    return program


def pipe_make() -> str:
    """A make whose job server is a pipe."""
    return found("make", (4, 2), (4, 4)) or the("make", (4, 4))


STYLES = ["pipe", "fifo"]


def make_in(style: str) -> list[str]:
    """The words that start a make with a job server of this style."""
    if style == "fifo":
        return [the("make", (4, 4))]
    old = found("make", (4, 2), (4, 4))
    return [old] if old else [the("make", (4, 4)), "--jobserver-style=pipe"]


def work(folder: Path, wanted: int) -> None:
    (folder / "work.py").write_text(WORK)
    (folder / "wanted").write_text(str(wanted))


def make(folder: Path, text: str, *words: str, wanted: int = 0) -> Ended:
    """Run a makefile; it calls stepwave as `$(SW)`."""
    work(folder, wanted)
    (folder / "count.py").write_text(COUNT)
    lines = re.sub(r"^ +", "\t", dedent(text), flags=re.MULTILINE)
    (folder / "Makefile").write_text(f"SW = {sys.executable} -m stepwave\n{lines}")
    env = clean_environment(folder)
    done = subprocess.run(
        words, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S, check=False
    )
    ended = Ended(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert_polite(ended)
    assert ended.code == 0, ended
    assert "INTERNAL" not in ended.err  # so make says that a token is missing, or one too many there
    assert survivors(env[MARK]) == []
    return ended


def most(folder: Path) -> int:
    """How many were at work at a time."""
    now = highest = 0
    for line in (folder / "log").read_text().splitlines():
        now += 1 if line.startswith("+") else -1
        highest = max(highest, now)
    assert now == 0
    return highest


def begun(folder: Path) -> list[str]:
    return sorted(line[1:] for line in (folder / "log").read_text().splitlines() if line.startswith("+"))


# --- make around it -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", STYLES)
def test_below_make_a_run_takes_its_slots_from_make(style: str, tmp_path: Path) -> None:
    flow(tmp_path, f"name: six\nsteps:{SIX}")
    rules = """
    count: x y flow
        +@python3 count.py
    x y:
        @python3 work.py $@
    flow:
        +@$(SW) run flow.yaml
    """
    ended = make(tmp_path, rules, *make_in(style), "-j3", wanted=3)
    assert ended.out == "tokens 2\n"
    assert begun(tmp_path) == ["s0", "s1", "s2", "s3", "s4", "s5", "x", "y"]
    assert most(tmp_path) == 3
    assert "(max_workers=3)" in ended.err


@pytest.mark.parametrize("style", STYLES)
def test_what_make_starts_in_a_step_shares_them_too(style: str, tmp_path: Path) -> None:
    """Make, a run, and makes again: all of them are one, also where another make stands between."""
    flow(
        tmp_path,
        "name: makes\nsteps:" + "".join(f"\n  - {{id: {id}, run: {make_in(style)[0]} -f sub.mk}}" for id in "ab"),
    )
    (tmp_path / "sub.mk").write_text("all: a b c d\na b c d:\n\t@python3 work.py $@\n")
    rules = """
    count: x flow
        +@python3 count.py
    x:
        @python3 work.py $@
    flow:
        +@$(MAKE) inner
    inner:
        +@$(SW) run flow.yaml
    """
    ended = make(tmp_path, rules, *make_in(style), "-k", "-s", "-j3", wanted=3)
    assert ended.out == "tokens 2\n"
    assert len(begun(tmp_path)) == 9
    assert most(tmp_path) == 3
    assert "warning" not in ended.err


def test_of_two_widths_the_smaller_one_holds(tmp_path: Path) -> None:
    flow(tmp_path, f"name: six\nsteps:{SIX}")
    make(tmp_path, "flow:\n        +@$(SW) run flow.yaml -j2", pipe_make(), "-j4", wanted=2)
    assert most(tmp_path) == 2


def test_without_a_plus_it_says_so_and_goes_on_beside_make(tmp_path: Path) -> None:
    flow(tmp_path, f"name: six\nsteps:{SIX}")
    rules = "flow:\n        @sh -c '$(SW) run flow.yaml -q -j2'"
    ended = make(tmp_path, rules, *make_in("pipe"), "-j3", wanted=2)
    assert ended.err.startswith(
        "stepwave: make has a job server, but has not handed it down to this command; the steps run beside its jobs\n"
        "  = help: put `+` in front of the command in the makefile, as in `+stepwave run ci.yaml`\n"
    )
    assert ended.err.count("job server") == 1
    assert most(tmp_path) == 2


def test_make_n_starts_nothing(tmp_path: Path) -> None:
    flow(tmp_path, f"name: six\nsteps:{SIX}")
    ended = make(tmp_path, "flow:\n        +@$(SW) run flow.yaml", pipe_make(), "-n", "-j3")
    assert ended.err == "stepwave: make only asks (-n, -q or -t): nothing is started\n"
    assert "python3 work.py s5" in ended.out
    assert not (tmp_path / "log").exists()


def test_who_wants_nothing_of_make_says_none(tmp_path: Path) -> None:
    flow(tmp_path, f"name: six\nsteps:{SIX}")
    ended = make(tmp_path, "flow:\n        +@$(SW) run flow.yaml --jobserver=none -j5", pipe_make(), "-j2", wanted=5)
    assert "(max_workers=5)" in ended.err
    assert most(tmp_path) == 5


# --- every token goes back ----------------------------------------------------------------------------------

HELD = """
    name: held
    onError: continue
    steps:
      - {id: a, run: "echo $$ > pid; HOLD; sleep 100"}
      - {id: b, run: sleep 100}
      - {id: c, run: sleep 100}
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_gives_every_token_back(number: signal.Signals, tmp_path: Path) -> None:
    fifo, gate = Fifo(tmp_path, b"abcd"), Gate(tmp_path)
    flow(tmp_path, HELD.replace("HOLD", gate.hold))
    with started("run", "flow.yaml", "-q", cwd=tmp_path, env=fifo.flags) as process:
        gate.arrived()
        await_count(fifo, 2)
        process.send_signal(number)
        process.wait(PATIENCE_S)
        gate.all_gone()
        await_count(fifo, 4)
    assert fifo.is_whole()
    os.close(fifo.fd)


@pytest.mark.parametrize("whom", ["step", "supervisor"])
def test_whoever_else_is_killed_every_token_comes_back(whom: str, tmp_path: Path) -> None:
    fifo, gate = Fifo(tmp_path, b"abcd"), Gate(tmp_path)
    text = HELD.replace("HOLD", gate.hold).replace("sleep 100}", f'"{gate.wait}"}}', 1)
    flow(tmp_path, text.replace("- {id: c, run: sleep 100}", ""))
    with started("run", "flow.yaml", "-q", cwd=tmp_path, env=fifo.flags) as process:
        gate.arrived()
        await_count(fifo, 3)
        pid = int((tmp_path / "pid").read_text())
        if whom == "supervisor":
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(pid, signal.SIGKILL)
        await_count(fifo, 4)  # the other one goes on with the token that is its own
        gate.open()
        assert end(process).code == 1
    assert fifo.is_whole()
    os.close(fifo.fd)


def test_a_run_that_times_out_gives_every_token_back(tmp_path: Path) -> None:
    fifo = Fifo(tmp_path, b"abcd")
    flow(tmp_path, "name: late\nsteps:" + "".join(f"\n  - {{id: s{n}, run: sleep 100}}" for n in range(4)))
    ended = stepwave("run", "flow.yaml", "-q", "--timeout", "0.3", cwd=tmp_path, env=fifo.flags)
    assert ended.code == 124
    assert fifo.is_whole()
    os.close(fifo.fd)


def test_while_others_have_all_tokens_one_step_runs_at_a_time(tmp_path: Path) -> None:
    fifo = Fifo(tmp_path, b"abcd")
    stolen = fifo.steal(4)
    work(tmp_path, 0)
    flow(tmp_path, f"name: six\nsteps:{SIX}")
    ended = stepwave("run", "flow.yaml", cwd=tmp_path, env=fifo.flags)
    assert (ended.code, most(tmp_path), fifo.count()) == (0, 1, 0)
    told = stepwave("why", "s5", cwd=tmp_path)
    assert "for a slot of the job server" in told.out
    os.write(fifo.fd, stolen)
    os.close(fifo.fd)


# --- make within it -----------------------------------------------------------------------------------------


def serve(folder: Path, steps: list[str], *words: str, wanted: int = 0) -> Ended:
    """A run of these commands, each of which starts as much as it is allowed to."""
    work(folder, wanted)
    (folder / "sub.mk").write_text("all: a b c d\na b c d:\n\t@python3 work.py $@\n")
    builds = "".join(f"build n{n}: work\n" for n in range(4))
    (folder / "sub.ninja").write_text(f"rule work\n  command = python3 work.py $out\n{builds}")
    lines = "".join(f"\n  - {{id: s{n}, run: '{step}'}}" for n, step in enumerate(steps))
    flow(folder, f"name: serve\nsteps:{lines}")
    return stepwave("run", "flow.yaml", "-v", *words, cwd=folder, env={"TMPDIR": str(folder)})


def leftovers(folder: Path) -> list[Path]:
    return list(folder.glob("stepwave-jobs-*"))


def test_makes_and_ninjas_within_a_run_share_its_slots(tmp_path: Path) -> None:
    old, ninja = pipe_make(), the("ninja", (1, 13))
    new = found("make", (4, 4)) or old
    ended = serve(
        tmp_path, [f"{old} -f sub.mk", f"{new} -f sub.mk", f"{ninja} -f sub.ninja -v"], "-j4", "--jobserver", wanted=4
    )
    assert ended.code == 0, ended.err
    assert len(begun(tmp_path)) == 12
    assert most(tmp_path) == 4
    assert "warning" not in ended.err
    assert "replaced" not in ended.err
    assert leftovers(tmp_path) == []


def test_one_make_may_have_all_slots_that_no_step_needs(tmp_path: Path) -> None:
    assert serve(tmp_path, [f"{pipe_make()} -f sub.mk"], "-j4", "--jobserver", "pipe", wanted=4).code == 0
    assert most(tmp_path) == 4


def test_a_style_can_be_chosen(tmp_path: Path) -> None:
    show = ["echo $MAKEFLAGS", "test -e /proc/self/fd/98 && echo pipe || echo none"]
    ended = serve(tmp_path, show, "-j3", "--jobserver=fifo")
    assert re.search(r"\] -j3 --jobserver-auth=fifo:\S+/tokens\n", ended.err)
    assert "[s1] none" in ended.err
    ended = serve(tmp_path, show, "-j3", "--jobserver=pipe")
    assert re.search(r"\] -j3 --jobserver-auth=98,99\n", ended.err)
    assert "[s1] pipe" in ended.err


def test_only_steps_hear_of_it(tmp_path: Path) -> None:
    """Not the record, not what makes a step the step that it is: nothing that is reused is missed."""
    flow(
        tmp_path,
        """
        name: reuse
        steps:
          - {id: a, inputs: [in], outputs: [out], run: "cat in > out; echo $MAKEFLAGS >> ran"}
        """,
    )
    (tmp_path / "in").write_text("x")
    words = ("run", "flow.yaml", "-q", "--events", "events")
    for more in ((), ("--jobserver",), ("--jobserver=fifo",)):
        assert stepwave(*words, *more, cwd=tmp_path).code == 0
        assert "MAKEFLAGS=" not in (tmp_path / "events").read_text()
    assert (tmp_path / "ran").read_text() == "\n"


def test_a_token_that_a_step_has_lost_is_replaced_and_told_of(tmp_path: Path) -> None:
    ended = serve(tmp_path, ['python3 -c "import os; os.read(98, 1)"', "python3 work.py a"], "-j3", "--jobserver=pipe")
    assert ended.code == 0
    sentence = "stepwave: steps took 1 token of the job server and did not give them back; they have been replaced\n"
    assert sentence in ended.err


def test_below_make_a_server_is_not_needed(tmp_path: Path) -> None:
    flow(tmp_path, "name: nested\nsteps:\n  - {id: a, run: echo $MAKEFLAGS > told}")
    make(tmp_path, "flow:\n        +@$(SW) run flow.yaml -q --jobserver", *make_in("pipe"), "-j3")
    flags = (tmp_path / "told").read_text()
    assert "-j3" in flags
    assert "98,99" not in flags


def test_a_run_within_a_run_shares_its_slots(tmp_path: Path) -> None:
    inner = f"{sys.executable} -m stepwave run six.yaml -q"
    flow(tmp_path, f"name: six\nsteps:{SIX}", "six.yaml")
    ended = serve(tmp_path, [inner, inner], "-j3", "--jobserver", wanted=3)
    assert ended.code == 0, ended.err
    assert len(begun(tmp_path)) == 12
    assert most(tmp_path) == 3


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc is installed")
def test_gcc_finds_it(tmp_path: Path) -> None:
    pipe_make()  # which gcc starts
    (tmp_path / "a.c").write_text("int main(void) { return 0; }\n")
    ended = serve(tmp_path, ["gcc -O1 -flto=jobserver -v a.c -o a 2>&1 | grep -i jobserver"], "-j3", "--jobserver")
    assert "Using make jobserver" in ended.err or "unknown" in ended.err, ended.err
    assert "not available" not in ended.err


def test_a_server_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    flow(tmp_path, HELD.replace("HOLD", gate.hold))
    env = {"TMPDIR": str(tmp_path), MARK: f"killed-{tmp_path.name}"}
    with started("run", "flow.yaml", "-q", "--jobserver", cwd=tmp_path, env=env) as process:
        gate.arrived()
        assert len(leftovers(tmp_path)) == 1
        process.kill()
        process.wait(PATIENCE_S)
        gate.all_gone()
        assert_alone(env[MARK], at_once=False)
    assert leftovers(tmp_path) == []


def test_the_option_without_a_style_means_every_style() -> None:
    assert spelled_out(["run", "--jobserver", "x.yaml"]) == ["run", "--jobserver=both", "x.yaml"]
    assert spelled_out(["run", "x.yaml", "--jobserver"]) == ["run", "x.yaml", "--jobserver=both"]
    assert spelled_out(["run", "--jobserver", "pipe"]) == ["run", "--jobserver", "pipe"]
    assert spelled_out(["validate", "--jobserver"]) == ["validate", "--jobserver"]


def test_an_unknown_style_is_refused(tmp_path: Path) -> None:
    flow(tmp_path, "name: one\nsteps:\n  - {id: a, run: date}")
    ended = stepwave("run", "flow.yaml", "--jobserver=tape", cwd=tmp_path)
    assert ended.code == 2
    assert "'tape' is not one of" in ended.err
