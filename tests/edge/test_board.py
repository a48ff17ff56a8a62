"""The live board on real pseudo-terminals, read through a small model of a screen that re-wraps on a resize."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from stepwave.core.diagnostics import Place
from stepwave.core.events import (
    BreakerOpened,
    Entry,
    Event,
    MemoryShort,
    NewStep,
    Outcome,
    RunStarted,
    RunStopping,
    StageStarted,
    StepDecided,
    StepFinished,
    StepLeftProcesses,
    StepRetrying,
    StepsAdded,
    StepStarted,
    StepStopping,
    StepTested,
    WidthChanged,
)
from stepwave.core.model import AcceptanceTest, Stage, Step, StepType, Workflow
from stepwave.core.plan import Plan
from stepwave.core.telling.style import cells, make_style
from stepwave.edge.screen.board import Board
from stepwave.edge.screen.sight import View

SOURCES = Path(__file__).resolve().parents[2] / "src"
SHOW, HIDE = "\x1b[?25h", "\x1b[?25l"


class Screen:
    """As much of a terminal as the board uses; like most of today's it re-wraps its rows when it gets narrower."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.rows = [""]
        self.at = 0
        self.cursor = True

    def feed(self, text: str) -> None:
        for token in re.findall(r"\x1b\[[?\d;]*[A-Za-z]|[^\x1b]", text):
            self._obey(token)

    def _obey(self, token: str) -> None:
        if token in (SHOW, HIDE):
            self.cursor = token == SHOW
        elif up := re.fullmatch(r"\x1b\[(\d*)A", token):
            self.at = max(self.at - int(up[1] or 1), 0)
        elif token == "\x1b[2K":
            self.rows[self.at] = ""
        elif token == "\n":
            self.at += 1
            self.rows += [""] * (self.at == len(self.rows))
        elif token.startswith("\x1b"):
            assert re.fullmatch(r"\x1b\[[\d;]*m", token), token
        elif token != "\r":
            assert ord(token) >= 32, token
            self.rows[self.at] += token
            permanent = self.rows[self.at][0] in "✗!→"  # only these lines may wrap
            assert permanent or cells(self.rows[self.at]) < self.width

    def narrow(self, width: int) -> None:
        pieces = [[row[i : i + width] for i in range(0, max(len(row), 1), width)] for row in self.rows]
        self.at = sum(map(len, pieces[: self.at + 1])) - 1
        self.rows = [piece for row in pieces for piece in row]
        self.width = width

    def text(self) -> list[str]:
        return [row.rstrip() for row in self.rows]


@dataclass
class Terminal:
    """A pseudo-terminal, the board on it, and what a person sees."""

    board: Board
    master: int
    slave: int
    screen: Screen
    times: list[float]
    raw: str = ""
    seq: int = field(default=0)

    def see(self, *events: Event) -> None:
        for event in events:
            self.seq += 1
            self.board.see(Entry(self.seq, 0.0, self.times[0], "r", event))

    def look(self, do: Callable[[], None] | None = None) -> list[str]:
        (do or self.board.refresh)()
        os.set_blocking(self.master, False)
        try:
            while chunk := os.read(self.master, 65536):
                self.raw += chunk.decode()
                self.screen.feed(chunk.decode())
        except BlockingIOError:
            pass
        return self.screen.text()

    def resize(self, width: int, height: int) -> None:
        set_size(self.slave, width, height)
        self.screen.narrow(width)


def set_size(fd: int, width: int, height: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))


def a_plan(*ids: str, estimate_s: float | None = None) -> Plan:
    here = Place("w.yaml")
    steps = {id: Step(id, here, resources=(("cpu", 1),), estimate_s=estimate_s) for id in ids}
    half = (len(ids) + 1) // 2
    waves = (ids[:half], ids[half:])
    wave_of = {id: number for number, wave in enumerate(waves) for id in wave}
    workflow = Workflow("w", here, tuple(steps.values()), name="Nightly", pools={"cpu": 2})
    return Plan(workflow, steps, waves, wave_of, {}, dict.fromkeys(ids, estimate_s or 1.0), 2)


@contextmanager
def terminal(
    plan: Plan, folder: Path, width: int = 80, height: int = 24, view: View = View.COMPACT
) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    set_size(slave, width, height)
    times = [0.0]
    with os.fdopen(slave, "w", encoding="utf-8") as stream:
        console = Console(file=stream, force_terminal=True, highlight=False, _environ={"TERM": "xterm-256color"})
        board = Board(
            plan, folder, console, make_style(color=True, unicode=True), view, share=1.0, clock=lambda: times[0]
        )
        yield Terminal(board, master, slave, Screen(width or 80), times)
        board.close()
    os.close(master)


def begun(plan: Plan) -> RunStarted:
    return RunStarted("w", "Nightly", plan.waves, 0, 2, {"cpu": 2})


def started(step: str, attempt: int = 1, keep_output: bool = False) -> StepStarted:
    return StepStarted(step, attempt, ("x",), "/", {}, f"{step[:3]}.log", keep_output)


def failed(step: str) -> StepFinished:
    return StepFinished(step, Outcome.FAILED, 1, 3, reason="exit code 3", duration_s=1.0)


def completed(step: str) -> StepFinished:
    return StepFinished(step, Outcome.COMPLETED, 1, 0, duration_s=2.0)


def test_what_a_person_sees_while_a_run_goes_on(tmp_path: Path) -> None:
    plan = a_plan("a", "b", "c", "d", "e")
    (tmp_path / "b.log").write_text("first\n\x1b[32mlast\x1b[0m\n")
    with terminal(plan, tmp_path) as it:
        it.see(begun(plan), started("a"), started("b"))
        it.times[0] = 65.0
        assert it.look() == [
            "⟳ Nightly  1m 05s",
            "  ──────────────────────────────────────── 0/5  0%",
            "  running 2/2 · wave 1/2 · 3 waiting · cpu 2/2",
            "  → a  1m 05s",
            "  → b  1m 05s  last",
        ]
        it.see(failed("a"), started("c", attempt=2), StepStopping("c", 2, "timed out after 5s"))
        assert it.look() == [
            "✗ [a] Failed (1.0s): exit code 3",
            "",
            "⟳ Nightly  1m 05s",
            "  ━━━━━━━━──────────────────────────────── 1/5  20%",
            "  running 2/2 · wave 1/2 · 2 waiting · 1 failed · cpu 2/2",
            "  → c      0s  attempt 2  stopping: timed out after 5s",
            "  → b  1m 05s  last",
        ]
        it.see(StepRetrying("c", 2, 3.0, "exit code 1"), completed("b"), RunStopping("step `a` failed"))
        assert it.look()[2:] == [
            "⟳ Nightly  1m 05s  stopping: step `a` failed",
            "  ━━━━━━━━━━━━━━━━──────────────────────── 2/5  40%",
            "  running 0/2 · wave 1/2 · 3 waiting · 1 failed · cpu 0/2",
            "",
            "",
            "  ↻ c  again in 3s: exit code 1",
        ]
        assert it.look(it.board.close) == ["✗ [a] Failed (1.0s): exit code 3", "", "", "", "", "", "", ""]
        assert it.screen.at == 1  # the shell's prompt comes right below what stays
        assert it.screen.cursor


def test_by_wave_what_happens_is_shown_below_its_wave(tmp_path: Path) -> None:
    plan = a_plan("a", "b", "c", "d", "e", "f")
    plan = plan._replace(
        waves=(("a", "b"), ("c",), ("d",), ("e",), ("f",)), wave_of=dict(zip("abcdef", (0, 0, 1, 2, 3, 4), strict=True))
    )
    (tmp_path / "c.log").write_text("linking\n")
    with terminal(plan, tmp_path, view=View.FULL) as it:
        it.see(begun(plan), started("a"), started("b"))
        assert it.look()[2:] == [
            "  running 2/2 · wave 1/5 · 4 waiting · cpu 2/2",
            "  wave 1    → 2",
            "    → a      0s",
            "    → b      0s",
            "  waves 2-5  4 waiting",
        ]
        it.see(completed("a"), completed("b"), started("c"), StepRetrying("d", 1, 3.0, "exit code 1"))
        assert it.look()[2:] == [
            "  running 1/2 · wave 2/5 · 3 waiting · cpu 1/2",
            "  wave 1    ✓ 2",
            "  wave 2    → 1",
            "    → c      0s  linking",
            "  wave 3    → 1",
            "    ↻ d  again in 3s: exit code 1",
            "  waves 4-5  2 waiting",
        ]
        it.see(failed("c"), started("d", 2))
        assert it.look()[4:] == [
            "  running 1/2 · wave 3/5 · 2 waiting · 1 failed · cpu 1/2",
            "  waves 1-2  ✓ 2  ✗ 1",
            "  wave 3    → 1",
            "    → d      0s  attempt 2",
            "  waves 4-5  2 waiting",
            "",
        ]


def test_waves_that_have_no_room_make_way_for_slots(tmp_path: Path) -> None:
    plan = a_plan("a", "b", "c", "d")
    with terminal(plan, tmp_path, height=8, view=View.FULL) as it:
        it.see(begun(plan), started("a"), started("b"))
        assert it.look()[3:] == ["  → a      0s", "  → b      0s"]


def a_growing_plan() -> Plan:
    here = Place("w.yaml")
    tests = (AcceptanceTest("1", "x"), AcceptanceTest("2", "x"), AcceptanceTest("3", "x"))
    steps = {
        "check.1": Step("check.1", here, stage=Stage.CHECK),
        "fan": Step("fan", here, type=StepType.FAN_OUT, resources=(("cpu", 1),), tests=tests),
        "sweep": Step("sweep", here, stage=Stage.FINALLY),
    }
    workflow = Workflow("w", here, tuple(steps.values()), name="Nightly", pools={"cpu": 2})
    waves = (("check.1",), ("fan",), ("sweep",))
    return Plan(workflow, steps, waves, {"check.1": 0, "fan": 1, "sweep": 2}, {}, {}, 2)


def test_a_run_that_grows_and_has_parts(tmp_path: Path) -> None:
    plan = a_growing_plan()
    parts = tuple(NewStep(f"fan[{n}]", "", "fan", 1, resources=(("cpu", 1),)) for n in range(4))
    with terminal(plan, tmp_path) as it:
        it.see(begun(plan), StageStarted(Stage.CHECK, ("check.1",)), started("check.1"))
        rows = it.look()
        assert rows[0] == "⟳ Nightly  0s  pre-flight checks"
        assert rows[2] == "  running 1/2 · wave 1/3 · 2 waiting · cpu 0/2"
        it.see(completed("check.1"), started("fan"), StepsAdded(parts), started("fan[0]"), started("fan[1]"))
        it.see(StepTested("fan[1]", 1, "1", True), StepTested("fan[1]", 1, "2", False, "no"))
        assert it.look() == [
            "⟳ Nightly  0s",
            "  ━━━━━─────────────────────────────────── 1/7  14%",
            "  running 2/2 · wave 2/3 · 3 waiting · cpu 2/2",
            "  ⟳ fan  0/4 steps  0s",
            "  → fan[0]       0s",
            "  → fan[1]       0s  2/3 tests",
        ]
        it.see(completed("fan[0]"), completed("fan[1]"), WidthChanged(1, "load 9.1 on 2 CPUs"), started("fan[2]"))
        rows = it.look()
        assert rows[2:4] == [
            "  running 1/1 (load 9.1 on 2 CPUs) · wave 2/3 · 2 waiting · cpu 1/2",
            "  ⟳ fan  2/4 steps  0s",
        ]
        it.see(MemoryShort("fan[3]", 3 << 29, 1, False))
        narrow = "  running 1/1 (load 9.1 on 2 CPUs) · wave 2/3"
        assert it.look()[2] == f"{narrow} · 2 waiting (memory: fan[3]) · c…"
        it.see(MemoryShort("fan", 1, 0, False), MemoryShort("fan[2]", 1, 0, True))
        assert it.look()[2].startswith(f"{narrow} · 2 waiting (memory: fan[3] +1) ")
        it.see(WidthChanged(2, "load 0.1 on 2 CPUs"), completed("fan[2]"), completed("fan[3]"), completed("fan"))
        undo = NewStep("fan[0].undo", "", "fan[0]", 5, stage=Stage.ROLLBACK)
        it.see(StepsAdded((undo,)), StageStarted(Stage.ROLLBACK, ("fan[0].undo",)), started("fan[0].undo"))
        rows = it.look()
        assert rows[0] == "⟳ Nightly  0s  rolling back"
        assert rows[2] == "  running 1/2 · wave 3/6 · 1 waiting · cpu 0/2"
        it.see(completed("fan[0].undo"), StageStarted(Stage.FINALLY, ("sweep",)), started("sweep"))
        assert it.look()[0] == "⟳ Nightly  0s  finally"


def test_answers_of_condition_steps_and_an_open_breaker_stay_above_the_board(tmp_path: Path) -> None:
    plan = a_plan("a", "b")
    with terminal(plan, tmp_path) as it:
        it.see(begun(plan), StepDecided("a", True, ("b",)), BreakerOpened("run", 3))
        assert it.look()[:3] == [
            "→ [a] true: b",
            "! [run] circuit breaker open after 3 failed attempts",
            "",
        ]
        it.see(*(StepDecided("a", False, ()) for _ in range(200)))
        it.look(it.board.close)
        assert sum("[a]" in row for row in it.screen.text()) == 50


def test_a_guess_at_the_time_left_comes_from_the_mean_of_three_or_from_estimates(tmp_path: Path) -> None:
    plan = a_plan(*"abcdefgh")
    with terminal(plan, tmp_path) as it:
        it.see(begun(plan))
        it.times[0] = 3.0
        it.see(completed("a"), completed("b"))
        assert "ETA" not in it.look()[1]
        it.see(completed("c"))
        assert it.look()[1].endswith(" 3/8  37%  ETA ~5s")  # 5 steps of 2s, two at a time
    estimated = a_plan(*"abcdefgh", estimate_s=60.0)
    with terminal(estimated, tmp_path) as it:
        it.see(begun(estimated), completed("a"), started("b"), started("c"))
        assert it.look()[1].endswith("ETA ~3m 30s")  # 7 of 60s left, two at a time


def test_nothing_is_drawn_that_is_on_the_screen_already(tmp_path: Path) -> None:
    plan = a_plan("a")
    with terminal(plan, tmp_path) as it:
        it.see(begun(plan), started("a"))
        it.look()
        drawn = it.raw
        it.times[0] = 0.9
        it.look()
        assert it.raw == drawn
        it.times[0] = 1.1
        it.look()
        assert it.raw != drawn


def test_a_log_is_read_again_when_it_grows(tmp_path: Path) -> None:
    plan = a_plan("a")
    with terminal(plan, tmp_path) as it:
        it.see(begun(plan), started("a", keep_output=True))
        (tmp_path / "a.log").write_text("a warning\n")
        assert it.look()[3] == "  → a      0s  a warning"
        (tmp_path / "a.log").write_text("10%\r20%\r")
        assert it.look()[3] == "  → a      0s  20%"
        (tmp_path / "a.log").write_bytes(b"x" * 100_000 + b"\nthe end of a big file")
        assert it.look()[3] == "  → a      0s  the end of a big file"


@pytest.mark.parametrize(("width", "height"), [(20, 5), (1, 1), (2, 3), (0, 0), (500, 200), (80, 4)])
@pytest.mark.parametrize("view", View)
def test_any_size_is_borne(tmp_path: Path, width: int, height: int, view: View) -> None:
    ids = [f"日本-{n}" for n in range(50)]
    plan = a_plan(*ids)
    with terminal(plan, tmp_path, width, height, view) as it:
        it.see(begun(plan), *map(started, ids[:30]), StepRetrying(ids[30], 1, 1.0, "x" * 300))
        it.see(StepsAdded((NewStep("new", "", ids[0], 1),)), WidthChanged(1, "y" * 300))
        it.see(StageStarted(Stage.FINALLY, (ids[1],)), StepTested(ids[2], 1, "日本" * 50, True))
        rows = it.look()
        assert len(rows) <= max((height or 25) - 2, 1)
        it.see(*map(completed, ids[:30]))
        it.look(it.board.close)
        assert it.screen.cursor
        assert not any(it.screen.text())


@pytest.mark.parametrize("width", [70, 40, 23])
def test_a_terminal_made_narrower_keeps_no_piece_of_an_old_frame(tmp_path: Path, width: int) -> None:
    plan = a_plan("a", "b", "c")
    (tmp_path / "b.log").write_text("word " * 50)
    with terminal(plan, tmp_path) as it:
        it.see(begun(plan), started("a"), failed("a"), started("b"), started("c"))
        it.look()
        it.resize(width, 24)
        rows = "\n".join(it.look())
        assert rows.count("Nightly") == rows.count("running 2/2") == rows.count("→ c") == 1
        assert rows.startswith("✗ [a]")
        it.resize(width - 3, 24)
        it.look(it.board.close)
        assert "".join(it.screen.text()) == "✗ [a] Failed (1.0s): exit code 3"


def test_names_and_output_are_shown_and_not_obeyed(tmp_path: Path) -> None:
    evil = "[/foo]\x1b]52;c;aGk=\x07[bold]" + "日" * 5_000
    plan = a_plan(evil, "b")
    (tmp_path / "b.log").write_text("\x1b]52;c;aGk=\x07[/x]\x1b[2J\u202e\n")
    with terminal(plan, tmp_path) as it:
        it.see(begun(plan), started(evil), started("b"), StepLeftProcesses("b", 1, ("pid 1: \x1b[2J",)))
        rows = it.look()  # the screen refuses every sequence but those that the board needs
        assert r"  → [/foo]\x1b]52;c;aGk=\x07[…      0s" in rows
        assert any(r"\x1b]52;c;aGk=\x07[/x]\x1b[2J\u202e" in row for row in rows)
        assert rows[0] == r"! [b] left 1 process behind: pid 1: \x1b[2J"
        it.see(failed(evil))
        it.look(it.board.close)
        assert "\x1b]" not in it.raw


def test_the_last_failures_stay_in_sight_above_a_tall_board(tmp_path: Path) -> None:
    ids = [f"s{n}" for n in range(100)]
    plan = a_plan(*ids)
    with terminal(plan, tmp_path, 80, 20) as it:
        it.see(begun(plan), *map(started, ids[:60]), *map(failed, ids[:20]))
        rows = it.look()
        assert len(rows) - sum("Failed" in row for row in rows) <= 20 - 2 - 5
        assert rows[-1] == "  … 32 more running"
        assert sum("Failed" in row for row in rows) == 20


def test_a_pause_clears_the_board_and_the_next_refresh_brings_it_back(tmp_path: Path) -> None:
    plan = a_plan("a")
    with terminal(plan, tmp_path) as it:
        it.see(begun(plan), started("a"))
        before = it.look()
        assert not any(it.look(it.board.pause))
        assert it.screen.cursor
        assert [row for row in it.look() if row] == before
        assert not it.screen.cursor


def test_ten_thousand_failures_end_in_a_bounded_number_of_lines(tmp_path: Path) -> None:
    ids = [f"s{n}" for n in range(10_000)]
    plan = a_plan(*ids)
    with (tmp_path / "screen").open("w", encoding="utf-8") as file:
        console = Console(file=file, force_terminal=True, width=80, height=24, _environ={})
        board = Board(plan, tmp_path, console, make_style(color=False, unicode=True))
        board.see(Entry(1, 0.0, 0.0, "r", begun(plan)))
        for seq, id in enumerate(ids, 2):
            board.see(Entry(seq, 0.0, 1.0, "r", failed(id)))
        board.close()
    text = (tmp_path / "screen").read_text("utf-8")
    assert text.count("Failed") == 500
    assert "further failures are told at the end" in text


def test_a_terminal_that_goes_away_mutes_the_board(tmp_path: Path) -> None:
    plan = a_plan("a")
    master, slave = pty.openpty()
    with os.fdopen(slave, "w", encoding="utf-8") as stream:
        console = Console(file=stream, force_terminal=True, _environ={"TERM": "xterm"})
        board = Board(plan, tmp_path, console, make_style(color=False, unicode=True))
        board.see(Entry(1, 0.0, 0.0, "r", begun(plan)))
        board.refresh()
        os.close(master)
        board.see(Entry(2, 0.0, 0.0, "r", failed("a")))
        board.refresh()
        board.refresh()
        board.close()


PROGRAM = """
import fcntl, os, signal, sys, termios
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_board import *
def echo():
    return bool(termios.tcgetattr(2)[3] & termios.ECHO)
fcntl.ioctl(2, termios.TIOCSCTTY, 0)
plan = a_plan("a", "b")
wake, ring = os.pipe()
os.set_blocking(ring, False)
signal.signal(signal.SIGTERM, lambda *_: None)
signal.set_wakeup_fd(ring)
board = Board(plan, Path(sys.argv[1]), Console(stderr=True), make_style(color=True, unicode=True))
for seq, event in enumerate((begun(plan), started("a")), 1):
    board.see(Entry(seq, 0.0, 0.0, "r", event))
board.refresh()
print("drawn, echo", echo(), flush=True)
os.read(wake, 1)
board.close()
print("closed, echo", echo(), flush=True)
sys.stdin.read()
sys.exit(143)
"""


def _read(fd: int) -> bytes:
    """The next piece of what has been written: a terminal hands it out in several."""
    try:
        return os.read(fd, 65536)
    except OSError:
        return b""


def test_in_a_process_of_its_own_the_terminal_is_as_it_was_after_sigterm() -> None:
    master, slave = pty.openpty()
    set_size(slave, 60, 20)
    environ = {**os.environ, "PYTHONPATH": str(SOURCES), "TERM": "xterm-256color", "PYTHONUTF8": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(Path(__file__).parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=slave,
        env=environ,
        start_new_session=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"drawn, echo False\n"
        child.send_signal(signal.SIGTERM)
        assert child.stdout.readline() == b"closed, echo True\n"
        os.set_blocking(master, False)
        said = b"".join(iter(partial(_read, master), b"")).decode()
        child.communicate(timeout=30)
    os.close(slave)
    os.close(master)
    assert child.returncode == 143
    assert HIDE in said
    assert said.rindex(SHOW) > said.rindex(HIDE)
    screen = Screen(60)
    screen.feed(said)
    assert not any(screen.text())


def test_many_pools_do_not_hide_what_has_gone_wrong(tmp_path: Path) -> None:
    with terminal(a_plan("a", "b"), tmp_path) as it:
        it.see(begun(a_plan("a", "b"))._replace(pools={f"pool-{n}": 1 for n in range(500)}), failed("a"))
        assert "1 failed" in "".join(it.look())


def test_a_costly_frame_puts_the_next_one_off(tmp_path: Path) -> None:
    plan = a_plan("a", "b")
    with terminal(plan, tmp_path) as it:
        it.board._share = 1e-9
        it.see(begun(plan), started("a"))
        first = it.look()
        it.see(started("b"))
        assert it.look() == first
        it.times[0] = 1e12
        assert it.look() != first
