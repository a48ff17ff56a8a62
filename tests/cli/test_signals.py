"""Ctrl-C and its relatives, at the real command: the exit code, the last words, and nothing left alive."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cli.invoke import (
    MARK,
    MODULE,
    PATIENCE_S,
    Gate,
    assert_polite,
    clean_environment,
    end,
    first_lines,
    flow,
    normal,
    say,
    started,
    survivors,
)

STUBBORN = """
    name: Stubborn
    steps:
      - id: stubborn
        kill: {{grace: 1000s}}
        run: |
          trap '' TERM INT HUP
          (setsid sh -c '{hold}; while :; do sleep 1000; done' &)
          {hold}
          while :; do sleep 1000; done
      - {{id: next, needs: stubborn, run: touch ran}}
    """


def stopping(line: str) -> bool:
    return "Nothing new starts: " in line


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=["INT", "TERM", "HUP"]
)
def test_the_first_stops_gently(number: signal.Signals, code: int, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    flow(
        tmp_path,
        f"""
        name: Gentle
        steps:
          - id: polite
            run: |
              trap 'echo tidied >tidy; exit 0' TERM
              {gate.hold}
              {gate.wait} || true
          - {{id: next, needs: polite, run: touch ran}}
        """,
    )
    with started("run", "flow.yaml", "-j", "2", "--json", cwd=tmp_path) as process:
        gate.arrived()
        process.send_signal(number)
        ended = end(process)
    gate.all_gone()
    assert ended.code == code
    assert (tmp_path / "tidy").read_text() == "tidied\n"
    assert not (tmp_path / "ran").exists()
    document = json.loads(ended.out)
    assert (document["status"], document["error"]) == ("cancelled", f"interrupted ({number.name})")
    assert {id: step["status"] for id, step in document["stepResults"].items()} == {
        "polite": "cancelled",
        "next": "cancelled",
    }
    assert normal(ended.err.replace(number.name, "<signal>"), tmp_path) == say(
        """
        ✓ Loading workflow: Gentle
        ✓ Building dependency graph (2 steps, 1 dependency)
        ✓ Initializing worker pool (max_workers=2)

        ⟳ Executing steps in parallel:
          → [polite] Starting...
          ! Nothing new starts: interrupted (<signal>)
          - [next] Cancelled
          - [polite] Cancelled (<t>): <signal>

          Step  Outcome  Time  Wave
        - polite  cancelled <t>  1  <signal>
        - next  cancelled  2

        Parallel statistics
          total groups  2 (1 executed)
          peak concurrency  1 of 2
          sequential time <t>
          wall time <t> (<n>% saved)
          critical path <t>: polite

        ✗ Workflow cancelled in <t>: 2 cancelled
          interrupted (<signal>)
          Logs: <here>/.stepwave/runs/<run>/logs
        """
    )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"])
def test_the_second_forces_at_once(number: signal.Signals, code: int, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    flow(tmp_path, STUBBORN.format(hold=gate.hold))
    with started("run", "flow.yaml", cwd=tmp_path) as process:
        gate.arrived()
        process.send_signal(number)
        first_lines(process.stderr, stopping)
        process.send_signal(number)
        assert end(process).code == code
    assert gate.read(6) in {b"", b"there\n"}  # the second holder may have come, and is gone
    gate.all_gone()
    assert not (tmp_path / "ran").exists()


def test_a_burst_ends_once(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    flow(tmp_path, STUBBORN.format(hold=gate.hold))
    with started("run", "flow.yaml", cwd=tmp_path) as process:
        gate.arrived()
        for _ in range(3):
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) * 10:
                with suppress(ProcessLookupError):
                    process.send_signal(number)
        first_lines(process.stderr, stopping)
        process.send_signal(signal.SIGINT)
        ended = end(process)
    assert ended.code in {129, 130, 143}
    assert ended.err.count("✗ Workflow cancelled") == 1


def test_nohup(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    flow(tmp_path, f'{{steps: [{{id: a, run: "{gate.hold}; {gate.wait}"}}]}}')
    nohup = ("sh", "-c", "trap '' HUP; exec \"$@\"", "sh", *MODULE)
    with started("run", "flow.yaml", cwd=tmp_path, command=nohup) as process:
        gate.arrived()
        process.send_signal(signal.SIGHUP)
        gate.open()
        assert end(process).code == 0
    gate.all_gone()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGQUIT, signal.SIGABRT], ids=["KILL", "QUIT", "ABRT"])
def test_when_the_command_is_killed_its_steps_die(number: signal.Signals, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    flow(
        tmp_path,
        f"""
        steps:
          - {{id: plain, run: "exec 9>'{gate.there}'; sleep 1000"}}
          - {{id: ignores, run: "trap '' TERM; exec 9>'{gate.there}'; sleep 1000; sleep 1000"}}
          - {{id: grandchild, run: "exec 9>'{gate.there}'; sh -c 'sleep 1000; :'; :"}}
          - {{id: session, run: "exec 9>'{gate.there}'; setsid -w sleep 1000"}}
          - {{id: daemon, run: "exec 9>'{gate.there}'; (setsid env -i sleep 1000 &); sleep 1000"}}
          - {{id: there, run: "{gate.hold}; sleep 1000"}}
        """,
    )
    with started("run", "flow.yaml", "-j", "8", cwd=tmp_path) as process:
        gate.arrived()
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == -number
    gate.all_gone()


def test_between_the_steps_of_starting_ctrl_c_ends_the_command(tmp_path: Path) -> None:
    """While the file is still being read nothing has begun: the command just ends, as any other does."""
    fifo = tmp_path / "flow.yaml"
    os.mkfifo(fifo)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        for words in (["run"], ["validate"]):
            with started(*words, "flow.yaml", cwd=tmp_path) as process:
                with fifo.open("w"):  # opened when the command has opened it
                    process.send_signal(number)
                    ended = end(process)
                assert ended == (-number, "", "")


def states(mark: str, words: str) -> list[str]:
    """The states of the living processes with this mark whose command line holds `words`."""
    found = []
    for line in survivors(mark):
        pid, _, command = line.partition(": ")
        with suppress(OSError):
            if words in command:
                found.append(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0])
    return found


def test_a_pause_freezes_the_steps_and_moves_every_deadline(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    flow(
        tmp_path,
        f"""
        timeout: 3s
        steps:
          - id: a
            timeout: 3s
            run: |
              {gate.hold}
              exec sh -c '{gate.wait.replace("'", "")}' marked
        """,
    )
    mark = "pause-" + tmp_path.name
    with started("run", "flow.yaml", "--json", cwd=tmp_path, env={MARK: mark}) as process:
        gate.arrived()
        process.send_signal(signal.SIGTSTP)
        stopped = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        assert stopped is not None
        assert stopped.si_status == signal.SIGSTOP
        give_up = time.monotonic() + PATIENCE_S
        while states(mark, "marked") != ["T"] and time.monotonic() < give_up:
            select.select([], [], [], 0.01)
        assert states(mark, "marked") == ["T"]
        select.select([], [], [], 3.2)  # longer than both deadlines: time itself is what is tested
        process.send_signal(signal.SIGCONT)
        gate.open()
        ended = end(process)
    gate.all_gone()
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["stepResults"]["a"]["status"] == "completed"


def test_ctrl_c_during_a_pause_is_not_lost(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    flow(tmp_path, f'{{steps: [{{id: a, run: "{gate.hold}; sleep 1000"}}]}}')
    with started("run", "flow.yaml", cwd=tmp_path) as process:
        gate.arrived()
        process.send_signal(signal.SIGTSTP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGCONT)
        assert end(process).code == 130
    gate.all_gone()


# --- in a terminal -----------------------------------------------------------------------------------------------

OWN_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """The command with a terminal of its own, whose keys a test can press."""

    def __init__(self, *words: str, cwd: Path) -> None:
        self.keys, slave = pty.openpty()
        environ = clean_environment(cwd, TERM="xterm-256color", COLUMNS="80", LINES="24")
        self.mark = environ[MARK]
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWN_TERMINAL, *MODULE, *words],
            cwd=cwd,
            env=environ,
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)
        self.seen = b""

    def press(self, key: bytes) -> None:
        os.write(self.keys, key)

    def read_until(self, text: bytes) -> None:
        beginning = len(self.seen)
        while text not in self.seen[beginning:]:
            assert select.select([self.keys], [], [], PATIENCE_S)[0], self.seen
            self.seen += os.read(self.keys, 1 << 16)

    def end(self) -> int:
        with suppress(OSError):  # EIO: nobody has the other side any more
            while select.select([self.keys], [], [], PATIENCE_S)[0] and (part := os.read(self.keys, 1 << 16)):
                self.seen += part
        os.close(self.keys)
        code = self.process.wait(PATIENCE_S)
        assert_polite_bytes(self.seen)
        assert survivors(self.mark) == []
        return code


def assert_polite_bytes(seen: bytes) -> None:
    from tests.cli.invoke import Ended

    assert_polite(Ended(0, seen.decode("utf-8", "replace"), ""))


def cursor_is_on(seen: bytes) -> bool:
    return seen.rfind(b"\x1b[?25h") >= seen.rfind(b"\x1b[?25l")


def test_ctrl_c_twice_in_a_terminal(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    flow(tmp_path, STUBBORN.format(hold=gate.hold))
    terminal = Terminal("run", "flow.yaml", cwd=tmp_path)
    gate.arrived()
    terminal.press(b"\x03")
    terminal.read_until(b"interrupted")
    terminal.press(b"\x03")
    assert terminal.end() == 130
    assert cursor_is_on(terminal.seen)
    assert b"Workflow cancelled" in terminal.seen


def test_ctrl_z_in_a_terminal_gives_the_cursor_back(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    flow(tmp_path, f'{{steps: [{{id: a, run: "{gate.hold}; {gate.wait}"}}]}}')
    terminal = Terminal("run", "flow.yaml", cwd=tmp_path)
    gate.arrived()
    terminal.read_until(b"\x1b[?25l")
    terminal.press(b"\x1a")
    os.waitid(os.P_PID, terminal.process.pid, os.WSTOPPED | os.WNOWAIT)
    while select.select([terminal.keys], [], [], 0)[0]:
        terminal.seen += os.read(terminal.keys, 1 << 16)
    assert cursor_is_on(terminal.seen)
    terminal.process.send_signal(signal.SIGCONT)
    gate.open()
    assert terminal.end() == 0
    assert cursor_is_on(terminal.seen)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=["TERM", "HUP"])
def test_a_signal_in_a_terminal_gives_the_cursor_back(number: signal.Signals, code: int, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    flow(tmp_path, f'{{steps: [{{id: a, run: "{gate.hold}; sleep 1000"}}]}}')
    terminal = Terminal("run", "flow.yaml", cwd=tmp_path)
    gate.arrived()
    terminal.read_until(b"\x1b[?25l")
    terminal.process.send_signal(number)
    assert terminal.end() == code
    assert cursor_is_on(terminal.seen)
    gate.all_gone()
