"""Plain lines: whole output compared, and streams that break, fill up or are not read."""

import io
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from stepwave.core.diagnostics import Place
from stepwave.core.events import (
    BY_BRANCH,
    BY_CONDITION,
    NO_EXECUTOR,
    BreakerOpened,
    Entry,
    Event,
    MemoryShort,
    NewStep,
    Outcome,
    RunFinished,
    RunStarted,
    RunStopping,
    StageStarted,
    Status,
    StepDecided,
    StepFinished,
    StepLeftProcesses,
    StepQueued,
    StepRetrying,
    StepsAdded,
    StepStarted,
    StepTested,
    WidthChanged,
)
from stepwave.core.model import Dialect, Retry, Stage, Step, StepType, Workflow
from stepwave.core.plan import Plan
from stepwave.core.telling.style import Style, make_style
from stepwave.edge.screen.lines import SKIPS_IN_A_ROW, TESTS_NAMED, Lines

PRETTY = make_style(color=False, unicode=True)
PLAIN = make_style(color=False, unicode=False)
SOURCES = Path(__file__).resolve().parents[2] / "src"


def a_plan(*given: str | Step) -> Plan:
    here = Place("w.yaml")
    made = [Step(one, here, retry=Retry(3), env={"CI": "1"}) if isinstance(one, str) else one for one in given]
    steps = {step.id: step for step in made}
    ids = tuple(steps)
    workflow = Workflow("w", here, tuple(steps.values()), name="Nightly")
    return Plan(workflow, steps, (ids,), dict.fromkeys(ids, 0), {}, {}, 3)


def entries(events: Iterable[Event]) -> list[Entry]:
    return [Entry(seq, 0.0, 12.3, "r", event) for seq, event in enumerate(events, 1)]


def told(
    plan: Plan,
    *events: Event,
    style: Style = PRETTY,
    folder: Path | None = None,
    verbose: bool = False,
    quiet: bool = False,
) -> list[str]:
    stream = io.StringIO()
    lines = Lines(plan, folder, stream, style, verbose, quiet)
    for entry in entries(events):
        lines.see(entry)
    lines.close()
    return stream.getvalue().splitlines()


def started(step: str, attempt: int = 1) -> StepStarted:
    return StepStarted(step, attempt, ("make", "a b"), "/srv", {"CI": "1", "WORKFLOW_ID": "w"}, f"{step}.log")


A_RUN: tuple[Event, ...] = (
    RunStarted("w", "Nightly", (("a", "b", "c"),), 0, 3),
    StepQueued("a"),
    started("a"),
    started("b"),
    StepFinished("a", Outcome.COMPLETED, 1, 0, duration_s=165.0, queued_s=0.2),
    StepRetrying("b", 1, 2.0, "exit code 1"),
    started("b", 2),
    StepLeftProcesses("b", 2, ("pid 4711: sleep 100",)),
    StepFinished("b", Outcome.FAILED, 2, 3, reason="exit code 3", duration_s=0.012),
    RunStopping("step `b` failed"),
    StepFinished("c", Outcome.SKIPPED, reason="Skipped due to previous failure"),
    RunFinished(Status.FAILED, 1),
)


def test_a_run_in_the_words_of_the_seed() -> None:
    assert told(a_plan("a", "b", "c"), *A_RUN) == [
        "✓ Loading workflow: Nightly",
        "✓ Building dependency graph (3 steps, 0 dependencies)",
        "✓ Initializing worker pool (max_workers=3)",
        "",
        "⟳ Executing steps in parallel:",
        "  → [a] Starting...",
        "  → [b] Starting...",
        "  ✓ [a] Complete (2m 45s)",
        "  ↻ [b] Retrying in 2.0s (attempt 2 of 3): exit code 1",
        "  ! [b] left 1 process behind: pid 4711: sleep 100",
        "  ✗ [b] Failed (12ms, 2 attempts): exit code 3",
        "  ! Nothing new starts: step `b` failed",
        "  - [c] Skipped due to previous failure",
    ]


def test_a_workstream_is_called_one() -> None:
    plan = a_plan("b", "a")
    plan = plan._replace(workflow=plan.workflow._replace(dialect=Dialect.SNAKE))
    lines = told(
        plan, A_RUN[0], StepTested("a", 1, "1", True), StepTested("b", 1, "1", True), RunFinished(Status.COMPLETED, 0)
    )
    assert lines[:4] == [
        "✓ Loading workstream: Nightly",
        "✓ Validating schema",
        "✓ Checking file scope conflicts",
        "✓ Building dependency graph (2 steps, 0 dependencies)",
    ]
    assert lines[-2:] == ["  → b: PASS", "  → a: PASS"], "in the order of the file"


def test_a_locale_that_can_show_nothing_else_gets_ascii() -> None:
    lines = told(a_plan("a", "b", "日本"), *A_RUN, started("日本"), style=PLAIN)
    assert all(line.isascii() for line in lines)
    assert lines[0] == "OK Loading workflow: Nightly"
    assert lines[-1] == r"  -> [\u65e5\u672c] Starting..."


def test_one_slot_runs_one_at_a_time_and_a_whole_run_says_so() -> None:
    run = RunStarted("w", "", (("a",),), 1, 1)
    done = StepFinished("a", Outcome.COMPLETED, 1, 0, duration_s=1)
    lines = told(a_plan("a"), run, done, RunFinished(Status.COMPLETED, 0))
    assert lines[0] == "✓ Loading workflow: w"
    assert lines[1] == "✓ Building dependency graph (1 step, 1 dependency)"
    assert lines[4:] == [
        "⟳ Executing steps one at a time:",
        "  ✓ [a] Complete (1.0s)",
        "",
        "✓ All steps complete",
    ]


def test_quiet_says_failures_only() -> None:
    assert told(a_plan("a", "b", "c"), *A_RUN, quiet=True) == ["  ✗ [b] Failed (12ms, 2 attempts): exit code 3"]


def test_verbose_adds_commands_waits_and_the_end_of_the_output(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"".join(b"%d\n" % n for n in range(100)) + b"\tend \x1b[31mred\x1b[2J")
    lines = told(a_plan("a", "b", "c"), *A_RUN, folder=tmp_path, verbose=True)
    at = lines.index("  ✓ [a] Complete (2m 45s)")
    assert "    cd /srv && CI=1 make 'a b'" in lines[:at]
    assert lines[at + 1] == "    queued for 200ms"
    assert lines[at + 2] == f"    [a] … all of it: {tmp_path}/a.log"
    output = [line for line in lines if line.startswith("    [a] ")]
    assert len(output) == 51
    assert output[-1] == r"    [a]         end red\x1b[2J"


def test_verbose_has_no_empty_line_for_a_step_without_a_command() -> None:
    lines = told(
        a_plan("a"), StepStarted("a", 1, (), ""), StepFinished("a", Outcome.FAILED, 1, reason="no"), verbose=True
    )
    assert lines == ["  → [a] Starting...", "  ✗ [a] Failed (0ms): no"]


def test_a_breaker_is_named_after_those_who_share_it() -> None:
    lines = told(a_plan("a"), BreakerOpened("run", 1), BreakerOpened("phase:p", 2), BreakerOpened("run:lib", 3))
    assert [line.partition("of ")[2].partition(" is")[0] for line in lines] == [
        "the run",
        "phase p",
        "the steps of lib",
    ]


def test_a_long_row_of_skipped_steps_is_counted() -> None:
    many = [StepFinished(f"s{n}", Outcome.SKIPPED, reason="no") for n in range(100)]
    other = StepFinished("t", Outcome.SKIPPED, reason="its condition")
    lines = told(a_plan("t"), *many, other)
    assert len(lines) == SKIPS_IN_A_ROW + 2
    assert lines[-2:] == ["  - and 80 more steps: Skipped: no", "  - [t] Skipped: its condition"]


def test_ten_thousand_steps_are_told_in_tenths_and_every_failure_by_name() -> None:
    ids = tuple(f"s{n}" for n in range(10_000))
    run = RunStarted("w", "", (ids,), 0, 4)
    bad = {"s5", "s9000"}
    skipped = set(ids[100:600])

    def end(id: str) -> StepFinished:
        if id in skipped:
            return StepFinished(id, Outcome.SKIPPED, reason=f"needs `{id}x`")
        return StepFinished(id, Outcome.FAILED if id in bad else Outcome.COMPLETED, 1, int(id in bad))

    events = [event for id in ids for event in (started(id), end(id))]
    lines = told(a_plan(*ids), run, *events, RunFinished(Status.FAILED, 1))
    assert "  ✗ [s5] Failed (0ms): exit code 1" in lines
    assert "  ✗ [s9000] Failed (0ms): exit code 1" in lines
    assert "  · 1000/10000 steps (10%), 1 failed, 12.3s" in lines
    assert "  · 10000/10000 steps (100%), 2 failed, 12.3s" in lines
    assert "  - and 480 more steps: Skipped" in lines
    assert len(lines) < 50


def a_step(id: str, type: StepType = StepType.SCRIPT, stage: Stage = Stage.MAIN) -> Step:
    return Step(id, Place("w.yaml"), type=type, stage=stage)


def done(step: str, **fields: object) -> StepFinished:
    return StepFinished(step, Outcome.COMPLETED, 1, 0, duration_s=1.0, **fields)  # type: ignore[arg-type]


def test_a_condition_step_says_its_answer_and_nothing_else() -> None:
    plan = a_plan(a_step("choose", StepType.CONDITION), a_step("again", StepType.CONDITION), "staging", "production")
    lines = told(
        plan,
        started("choose"),
        StepDecided("choose", True, ("staging", "production")),
        done("choose"),
        StepFinished("production", Outcome.SKIPPED, reason=BY_BRANCH),
        StepFinished("agent", Outcome.SKIPPED, reason=NO_EXECUTOR),
        started("again"),
        StepDecided("again", False, (), "`steps.x` has no value"),
        done("again"),
        StepFinished("again", Outcome.FAILED, 1, reason="Condition execution failed: no"),
    )
    assert lines == [
        "  → [choose] true: staging, production",
        "  - [production] Skipped: not on the branch taken",
        "  - [agent] Skipped: no executor for its agent",
        "  ! [again] false (it could not be evaluated: `steps.x` has no value): nothing waits for that",
        "  ✗ [again] Failed (0ms): Condition execution failed: no",
    ]


def test_steps_that_are_added_are_named_and_counted_and_are_steps_like_any_other() -> None:
    parts = tuple(NewStep(f"fan[{n}]", "fan", "fan", 1) for n in range(7))
    plan = a_plan(a_step("fan", StepType.FAN_OUT)._replace(retry=Retry(2), env={"A": "1"}))
    lines = told(
        plan,
        started("fan"),
        StepsAdded(parts),
        StepStarted("fan[0]", 1, ("x",), "/w", {"A": "1", "WORKFLOW_ID": "w"}),
        StepRetrying("fan[0]", 1, 1.0, "exit code 1"),
        done("fan"),
        verbose=True,
    )
    assert lines == [
        "  → [fan] 7 steps: fan[0], fan[1], fan[2], fan[3], fan[4], and 2 more",
        "  → [fan[0]] Starting...",
        "    cd /w && A=1 x",
        "  ↻ [fan[0]] Retrying in 1.0s (attempt 2 of 2): exit code 1",
        "  ✓ [fan] Complete (1.0s)",
    ]


def test_of_very_many_parts_only_trouble_and_tenths_are_told() -> None:
    parts = tuple(NewStep(f"fan[{n}]", "fan", "fan", 1) for n in range(999))
    ends = [event for part in parts for event in (started(part.id), done(part.id))]
    lines = told(a_plan(a_step("fan", StepType.FAN_OUT)), StepsAdded(parts), *ends, done("fan"))
    assert lines[0].startswith("  → [fan] 999 steps: fan[0], ")
    assert lines[1] == "  · 100/1000 steps (10%), 12.3s"
    assert lines[10] == "  · 1000/1000 steps (100%), 12.3s"
    assert len(lines) == 11


CHECKED = (a_step("check.1", stage=Stage.CHECK), "a", a_step("test.1", stage=Stage.ACCEPT))


def test_the_parts_of_a_run_in_the_words_of_the_seed() -> None:
    plan = a_plan(*CHECKED, a_step("sweep", stage=Stage.FINALLY))
    lines = told(
        plan,
        RunStarted("w", "Nightly", (("check.1",), ("a",), ("test.1",), ("sweep",)), 0, 3),
        StageStarted(Stage.CHECK, ("check.1",)),
        started("check.1"),
        done("check.1"),
        StepQueued("a"),
        started("a"),
        StepTested("a", 1, "unit", True, duration_s=0.2),
        StepTested("a", 1, "style", True),
        done("a"),
        StageStarted(Stage.ACCEPT, ("test.1",)),
        started("test.1"),
        done("test.1"),
        StageStarted(Stage.FINALLY, ("sweep",)),
        started("sweep"),
        done("sweep"),
        RunFinished(Status.COMPLETED, 0),
    )
    assert lines[2:] == [
        "✓ Initializing worker pool (max_workers=3)",
        "",
        "⟳ Running pre-flight checks (1):",
        "  → [check.1] Starting...",
        "  ✓ [check.1] Complete (1.0s)",
        "",
        "⟳ Executing steps in parallel:",
        "  → [a] Starting...",
        "  ✓ [a] test unit: PASS (200ms)",
        "  ✓ [a] test style: PASS (0ms)",
        "  ✓ [a] Complete (1.0s)",
        "",
        "⟳ Running acceptance tests (1):",
        "  → [test.1] Starting...",
        "  ✓ [test.1] Complete (1.0s)",
        "",
        "⟳ Finally (1 step):",
        "  → [sweep] Starting...",
        "  ✓ [sweep] Complete (1.0s)",
        "",
        "✓ All steps complete",
        "✓ Running acceptance tests (3/3)",
        "  → a/unit: PASS",
        "  → a/style: PASS",
        "  → test.1: PASS",
    ]


def test_the_tests_of_the_last_attempt_count_and_a_step_with_one_test_lends_it_its_name() -> None:
    events: tuple[Event, ...] = (
        StepTested("a", 1, "1", False, "exit code 1"),
        StepRetrying("a", 1, 1.0, "acceptance test `1`: exit code 1"),
        StepTested("a", 2, "1", True),
        done("a"),
        StepTested("b", 1, "1", False, "exit code 2", 1.0),
        StepFinished("b", Outcome.FAILED, 1, 0, reason="acceptance test `1`: exit code 2", duration_s=1.0),
        RunFinished(Status.FAILED, 1),
    )
    lines = told(a_plan("a", "b"), *events)
    assert lines[0] == "  ✗ [a] test 1: FAIL (0ms): exit code 1"
    assert lines[-6:] == [
        "  ✗ [b] test 1: FAIL (1.0s): exit code 2",
        "  ✗ [b] Failed (1.0s): acceptance test `1`: exit code 2",
        "",
        "✗ Running acceptance tests (1/2)",
        "  → a: PASS",
        "  → b: FAIL",
    ]
    assert told(a_plan("a", "b"), *events, quiet=True) == ["  ✗ [b] Failed (1.0s): acceptance test `1`: exit code 2"]


def test_of_very_many_tests_the_failed_ones_are_named() -> None:
    events = [StepTested(f"s{n}", 1, "1", n % 7 != 0) for n in range(1000)]
    lines = told(a_plan("a"), *events, RunFinished(Status.FAILED, 1))
    last = lines[-TESTS_NAMED - 2 :]
    assert last[0] == "✗ Running acceptance tests (857/1000)"
    assert all(line.endswith(": FAIL") for line in last[1:-1])
    assert last[-1] == "  … and 900 more tests, 43 failed"


def test_a_test_that_was_never_run_is_no_test() -> None:
    skipped = StepFinished("test.1", Outcome.SKIPPED, reason="Skipped due to previous failure")
    lines = told(a_plan(*CHECKED), StageStarted(Stage.ACCEPT, ("test.1",)), skipped, RunFinished(Status.FAILED, 1))
    assert lines[-1] == "  - [test.1] Skipped due to previous failure"


def test_verbose_repeats_what_command_and_tests_printed_each_once(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("compiled\n")
    (tmp_path / "t.log").write_text("tested\n")
    test = StepTested("a", 1, "1", True, log="t.log", log_bytes=7)
    lines = told(a_plan("a"), started("a"), test, done("a"), folder=tmp_path, verbose=True)
    assert lines[2:] == [
        "    [a] compiled",
        "  ✓ [a] test 1: PASS (0ms)",
        "    [a] tested",
        "  ✓ [a] Complete (1.0s)",
    ]


def test_a_check_that_fails_is_told_before_anything_else_begins() -> None:
    lines = told(
        a_plan(*CHECKED),
        RunStarted("w", "Nightly", (("check.1",), ("a",)), 0, 3),
        StageStarted(Stage.CHECK, ("check.1",)),
        started("check.1"),
        StepFinished("check.1", Outcome.FAILED, 1, 1, reason="exit code 1"),
        RunStopping("step `check.1` failed"),
        StepFinished("a", Outcome.SKIPPED, reason="Skipped due to previous failure"),
        RunFinished(Status.FAILED, 1),
    )
    assert not any("Executing" in line for line in lines)
    skipped = StepFinished("a", Outcome.SKIPPED, reason=BY_CONDITION)
    lines = told(a_plan(*CHECKED), RunStarted("w", "", (), 0, 1), StageStarted(Stage.CHECK, ("check.1",)), skipped)
    assert lines[-2:] == ["⟳ Executing steps one at a time:", "  - [a] Skipped due to condition"]


def test_rolling_back_a_breaker_and_a_change_of_width_are_told() -> None:
    undo = a_step("a.undo", stage=Stage.ROLLBACK)._replace(retry=Retry(4))
    lines = told(
        a_plan(a_step("a")._replace(undo=undo)),
        BreakerOpened("run", 3),
        WidthChanged(2, "load 9.1 on 4 CPUs"),
        WidthChanged(1, "0.1 GB of memory left"),
        StepsAdded((NewStep("a.undo", "", "a", 1, stage=Stage.ROLLBACK),)),
        StageStarted(Stage.ROLLBACK, ("a.undo",)),
        started("a.undo"),
        StepRetrying("a.undo", 1, 1.0, "exit code 1"),
        done("a.undo"),
    )
    assert lines == [
        "  ! The circuit breaker of the run is open after 3 failed attempts",
        "  · From here on at most 2 steps at a time: load 9.1 on 4 CPUs",
        "  · From here on at most 1 step at a time: 0.1 GB of memory left",
        "",
        "⟳ Rolling back 1 step:",
        "  → [a.undo] Starting...",
        "  ↻ [a.undo] Retrying in 1.0s (attempt 2 of 4): exit code 1",
        "  ✓ [a.undo] Complete (1.0s)",
    ]


def test_waiting_for_memory_is_told_unless_there_are_many_steps() -> None:
    waits, starts = MemoryShort("s1", 2 << 30, 1 << 30, False), MemoryShort("s2", 2 << 30, 1 << 30, True)
    few = told(a_plan("s1", "s2"), waits, starts)
    assert few == [
        "  · [s1] Waits for memory: it needs 2 GB, and 1 GB are left",
        "  · [s2] Starts alone, short of memory: it needs 2 GB, and 1 GB are left",
    ]
    assert told(a_plan(*(f"s{n}" for n in range(300))), waits, starts) == few[1:]
    assert told(a_plan("s1", "s2"), waits, starts, quiet=True) == []


def test_names_and_reasons_are_shown_and_not_obeyed() -> None:
    id = "[/foo]\x1b]52;c;aGk=\x07" + "日" * 5_000
    reason = "::error::x\r\n\x1b[2J\u202e"
    events = (started(id), StepFinished(id, Outcome.FAILED, 1, 1, reason=reason), StepRetrying(id, 1, 1.0, reason))
    lines = told(a_plan(id), *events)
    assert len(lines) == 3
    assert not any(ord(char) < 32 or char == "\u202e" for line in lines for char in line)
    assert max(map(len, lines)) < 400


def test_a_stream_that_cannot_encode_a_mark_gets_it_spelled_out() -> None:
    raw = io.BytesIO()
    lines = Lines(a_plan("a"), None, io.TextIOWrapper(raw, "ascii"), PRETTY)
    lines.see(entries([started("a")])[0])
    lines.close()
    assert raw.getvalue() == b"  \\u2192 [a] Starting...\n"


# --- streams that break ------------------------------------------------------------------------

PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_lines import A_RUN, PRETTY, a_plan, entries
from stepwave.edge.screen.lines import Lines
lines = Lines(a_plan("a", "b", "c"), None, sys.stdout, PRETTY)
{before}
for entry in entries(A_RUN * 100):
    lines.see(entry)
lines.close()
sys.exit(7)
"""


def run_program(stdout: int, before: str = "") -> tuple[int, bytes]:
    code = PROGRAM.format(tests=str(Path(__file__).parent), before=before)
    environ = {**os.environ, "PYTHONPATH": str(SOURCES), "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=environ,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr


def test_a_reader_that_went_away_mutes_the_lines_and_leaves_no_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert run_program(writer) == (7, b"")
    finally:
        os.close(writer)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_mutes_the_lines_and_leaves_no_traceback() -> None:
    with Path("/dev/full").open("wb") as full:
        assert run_program(full.fileno()) == (7, b"")


def test_a_closed_stream_mutes_the_lines() -> None:
    stream = io.StringIO()
    lines = Lines(a_plan("a"), None, stream, PRETTY)
    stream.close()
    lines.see(entries([started("a")])[0])
    lines.refresh()
    lines.close()


def test_a_reader_that_sleeps_does_not_hold_up_the_run_and_gets_its_lines_later() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w", encoding="utf-8") as stream, os.fdopen(reader, "rb", buffering=0) as pipe:
        lines = Lines(a_plan("a"), None, stream, PRETTY, patience_s=0.0)
        sent = entries(started(f"{n:06d}") for n in range(6_000))  # some 150 KB: more than a pipe holds
        for entry in sent:
            lines.see(entry)
        got = b""
        while got.count(b"\n") < len(sent):
            got += pipe.read(65536)
            lines.refresh()
        lines.close()
    assert got.decode().splitlines() == [f"  → [{n:06d}] Starting..." for n in range(6_000)]


def test_a_reader_that_never_wakes_up_is_given_up() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w", encoding="utf-8") as stream, os.fdopen(reader, "rb"):
        lines = Lines(a_plan("a"), None, stream, PRETTY, patience_s=0.0)
        for entry in entries(started(f"{n:06d}") for n in range(20_000)):
            lines.see(entry)
        lines.close()
