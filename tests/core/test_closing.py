"""The closing report: complete for a person, bounded, harmless, and exact in what it offers to paste."""

import shlex
import shutil
import subprocess
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwave.core.diagnostics import Place
from stepwave.core.events import BY_BRANCH, NO_EXECUTOR, Outcome, Status, StepDecided, StepTested
from stepwave.core.model import AcceptanceTest, Function, Stage, Stdin, Step, Workflow
from stepwave.core.plan import Plan
from stepwave.core.summary import Statistics, StepResult, Summary
from stepwave.core.telling.closing import FULL_FAILURES, TABLE_LIMIT, closing, shown_in_full, shown_logs, verdict
from stepwave.core.telling.pasting import paste
from stepwave.core.telling.style import Style, cells, make_style

PRETTY = make_style(color=False, unicode=True)
PLAIN = make_style(color=False, unicode=False)
HERE = Place("ci.yaml", 41)
NOTHING_RAN = Statistics(0, 0, 0, {}, {}, {}, 0.0, 0, (), 0.0)
STATISTICS = Statistics(
    total_groups=4,
    executed_groups=3,
    max_concurrent_steps=3,
    utilization={"cpu": 0.81234},
    peak_utilization={"cpu": 1.0},
    resource_wait_s={"cpu": 12.5},
    sequential_s=540.0,
    time_saved_percent=66,
    critical_path=("build", "test"),
    critical_path_s=140.0,
)


def a_result(id: str = "build", outcome: Outcome = Outcome.COMPLETED, **known: object) -> StepResult:
    fields: dict[str, object] = {"wave": 0, "attempts": 1, "duration_s": 1.0, **known}
    return StepResult(id, id, outcome, **fields)  # type: ignore[arg-type]


def a_failure(id: str = "test", **known: object) -> StepResult:
    fields: dict[str, object] = {"exit_code": 1, "reason": "exit code 1", "argv": ("pytest", "-q"), **known}
    return a_result(id, Outcome.FAILED, **fields)


def a_summary(*steps: StepResult, statistics: Statistics = STATISTICS, **known: object) -> Summary:
    failed = any(step.is_failure and not step.tolerated for step in steps)
    fields: dict[str, object] = {
        "status": Status.FAILED if failed else Status.COMPLETED,
        "exit_code": int(failed),
        "reason": None,
        "wall_s": 181.0,
        **known,
    }
    return Summary(workflow="ci", name="ci", run="r", started_at=0.0, steps=steps, statistics=statistics, **fields)  # type: ignore[arg-type]


def a_plan(*steps: Step, env: dict[str, str | None] | None = None) -> Plan:
    workflow = Workflow("ci", HERE, steps, folder="/srv/app", env=env or {})
    return Plan(workflow, {step.id: step for step in steps}, (), {}, {}, {}, 4)


def report(
    summary: Summary,
    *steps: Step,
    tails: dict[str, tuple[str, ...]] | None = None,
    style: Style = PRETTY,
    width: int = 100,
) -> list[str]:
    return closing(summary, a_plan(*steps), tails or {}, "/srv/run", style, width)


def test_a_run_with_a_failure_from_top_to_bottom() -> None:
    summary = a_summary(
        a_result("build", duration_s=125.2),
        a_result("lint", Outcome.FAILED, exit_code=2, tolerated=True, argv=("ruff", "a b"), cwd="/srv/app"),
        a_failure("test", wave=1, attempts=3, cwd="/srv/app", stderr_log="logs/0003-test.log", ended_s=9.0),
        a_result("deploy", Outcome.SKIPPED, wave=2, attempts=0, reason="Skipped due to previous failure"),
    )
    assert report(summary, tails={"test": ("assert 1 == 2", "\t\x1b[31mE\x1b[0m \x1b]52;c;\x07")}) == [
        "  Step    Outcome      Time  Wave  Attempts",
        "✓ build   completed  2m 05s     1",
        "! lint    failed       1.0s     1            tolerated: exit code 2",
        "✗ test    failed       1.0s     2         3  exit code 1",
        "- deploy  skipped               3            Skipped due to previous failure",
        "",
        "Parallel statistics",
        "  total groups      4 (3 executed)",
        "  peak concurrency  3 of 4",
        "  pool cpu          81.2% busy, peak 100%, waited for 12.5s",
        "  sequential time   9m 00s",
        "  wall time         3m 01s (66% saved)",
        "  critical path     2m 20s: build → test",
        "",
        "Failures",
        "! [lint] Failed (1.0s, tolerated): exit code 2",
        "  cd /srv/app && ruff 'a b'",
        "",
        "✗ [test] Failed (1.0s, 3 attempts): exit code 1",
        "  cd /srv/app && pytest -q",
        "  │ assert 1 == 2",
        "  │         E \\x1b]52;c;\\x07",
        "  log: /srv/run/logs/0003-test.log",
        "",
        "✗ Workflow failed in 3m 01s: 1 failed, 1 tolerated failure, 1 skipped, 1 completed",
        "  (Sequential would have taken ~9m 00s - 66% time saved)",
        "  Logs: /srv/run/logs",
    ]


def test_a_run_where_all_went_well_ends_in_the_words_of_the_seed() -> None:
    assert report(a_summary(a_result()))[-3:] == [
        "",
        "✓ Workflow complete in 3m 01s",
        "  (Sequential would have taken ~9m 00s - 66% time saved)",
    ]


@pytest.mark.parametrize(
    ("summary", "lines"),
    [
        (a_summary(a_failure(tolerated=True)), ["✓ Workflow complete in 3m 01s (1 tolerated failure)"]),
        (
            a_summary(a_failure(tolerated=True), exit_code=1),
            ["✗ Workflow failed in 3m 01s: 1 tolerated failure"],
        ),
        (
            a_summary(
                a_result("a", Outcome.CANCELLED), status=Status.CANCELLED, exit_code=130, reason="interrupted (SIGINT)"
            ),
            ["✗ Workflow cancelled in 3m 01s: 1 cancelled", "  interrupted (SIGINT)"],
        ),
        (
            a_summary(a_result("a", Outcome.TIMEOUT), status=Status.TIMEOUT, exit_code=1, reason="after 5s"),
            ["✗ Workflow timed out in 3m 01s: 1 timed out", "  after 5s"],
        ),
        (a_summary(statistics=NOTHING_RAN), ["✓ Workflow complete in 3m 01s"]),
        (a_summary(statistics=NOTHING_RAN, is_workstream=True), ["✓ Workstream complete in 3m 01s"]),
        (a_summary(a_failure(), exit_code=1, is_workstream=True), ["✗ Workstream failed in 3m 01s: 1 failed"]),
    ],
)
def test_the_verdict(summary: Summary, lines: list[str]) -> None:
    assert verdict(summary, PRETTY)[: len(lines)] == lines


def test_conditions_tests_branches_and_what_was_rolled_back_from_top_to_bottom() -> None:
    tests = (
        StepTested("deploy", 1, "up", True, duration_s=1.0, log="logs/2.1.log", log_bytes=3),
        StepTested("deploy", 1, "smoke", False, "exit code 7", 1.0, "logs/2.2.log", 9),
    )
    steps = (
        a_result("build", Outcome.ROLLED_BACK, tests=(StepTested("build", 1, "1", True),)),
        a_result("build.undo", stage=Stage.ROLLBACK, after="build", wave=2),
        a_result("lint", tests=(StepTested("lint", 1, "1", True), StepTested("lint", 1, "2", True))),
        a_result("choose", decision=StepDecided("choose", True, ("deploy",)), duration_s=0.0),
        a_result("doubt", decision=StepDecided("doubt", False, ("hold",), "no such step"), duration_s=0.0),
        a_failure(
            "deploy",
            exit_code=0,
            reason="acceptance test `smoke`: exit code 7",
            tests=tests,
            cwd="/srv/app",
            stderr_log="logs/2.log",
        ),
        a_result("hold", Outcome.SKIPPED, attempts=0, reason=BY_BRANCH),
        a_result("ask", Outcome.SKIPPED, attempts=0, reason=NO_EXECUTOR),
    )
    planned = Step("deploy", HERE, tests=(AcceptanceTest("up", "true"), AcceptanceTest("smoke", "curl -f localhost")))
    summary = a_summary(*steps, statistics=NOTHING_RAN)
    assert shown_logs(summary) == {"logs/2.2.log": "logs/2.2.log"}
    assert report(summary, planned, tails={"logs/2.2.log": ("refused", "  \x1b[31mred")}) == [
        "  Step        Outcome      Time  Wave",
        "↩ build       rolled back  1.0s     1  1 test passed",
        "✓ build.undo  completed    1.0s     3",
        "✓ lint        completed    1.0s     1  2 tests passed",
        "✓ choose      completed     0ms     1  true: deploy",
        "✓ doubt       completed     0ms     1  false (it could not be evaluated: no such step): hold",
        "✗ deploy      failed       1.0s     1  acceptance test `smoke`: exit code 7",
        "- hold        skipped               1  not on the branch taken",
        "- ask         skipped               1  no executor for its agent",
        "",
        "Failures",
        "✗ [deploy] Failed (1.0s): acceptance test `smoke`: exit code 7",
        "  cd /srv/app && pytest -q",
        "  log: /srv/run/logs/2.log",
        "  ✗ test smoke (exit code 7): curl -f localhost",
        "    │ refused",
        "    │   red",
        "    log: /srv/run/logs/2.2.log",
        "",
        "✗ Workflow failed in 3m 01s: 1 failed, 2 skipped (1 not on the branch taken), 1 rolled back, 4 completed",
        "  Rolled back: build",
        "  Logs: /srv/run/logs",
    ]


def test_a_step_whose_command_failed_shows_its_own_log() -> None:
    summary = a_summary(a_failure("a", stderr_log="logs/a.log"), a_failure("b"), a_result("c", stderr_log="logs/c.log"))
    assert shown_logs(summary) == {"a": "logs/a.log"}


def test_of_many_failed_tests_some_are_told_and_the_rest_counted() -> None:
    tests = tuple(StepTested("a", 1, str(n), False, "no", log=f"{n}.log", log_bytes=1) for n in range(50))
    summary = a_summary(a_failure("a", tests=tests))
    lines = report(summary, tails=dict.fromkeys(shown_logs(summary).values(), ("x",) * 100))
    assert len(shown_logs(summary)) == 5
    assert "  … and 45 more failed tests" in lines
    assert sum("test " in line and "✗" in line for line in lines) == 5


def test_what_timed_out_for_its_silence_says_so() -> None:
    silent = a_result("a", Outcome.TIMEOUT, reason="timed out: it printed nothing for 5.0s", argv=("x",))
    slow = a_result("b", Outcome.TIMEOUT, reason="timed out after 5.0s", argv=("x",), signal=15)
    lines = report(a_summary(silent, slow))
    assert "✗ [a] Timed out (1.0s): it printed nothing for 5.0s" in lines
    assert "✗ [b] Timed out (1.0s)" in lines


def test_a_part_of_a_fan_out_has_the_environment_and_the_input_of_its_step() -> None:
    part = a_failure("fan[a]", after="fan", cwd="/w", env={"A": "1", "WORKFLOW_ID": "w"})
    undo = a_failure("up.undo", after="up", stage=Stage.ROLLBACK, cwd="/w", env={"WORKFLOW_RUN_ID": "r"})
    lines = report(
        a_summary(part, undo),
        Step("fan", HERE, env={"A": "x"}, stdin=Stdin(path="in.txt"), base="lib"),
        Step("up", HERE, undo=Step("up.undo", HERE, env={"WORKFLOW_RUN_ID": "x"}, stdin=Stdin("y"))),
    )
    assert "  cd /w && A=1 pytest -q < /srv/app/lib/in.txt" in lines
    assert "  cd /w && printf %s y | WORKFLOW_RUN_ID=r pytest -q" in lines


def test_a_function_reads_its_parameters() -> None:
    function = Function("tools:go", HERE, {"n": 1, "to": "a b"})
    planned = Step("test", HERE, function=function)
    lines = report(a_summary(a_failure(argv=("py", "call"), cwd="/w")), planned)
    assert """  cd /w && printf %s '{"n": 1, "to": "a b"}' | py call""" in lines
    unknown = planned._replace(function=function._replace(params={"n": "{{variables.n}}"}))
    assert "  cd /w && py call" in report(a_summary(a_failure(argv=("py", "call"), cwd="/w")), unknown)


def test_ten_thousand_steps_make_a_short_report_that_says_what_it_leaves_out() -> None:
    fast = [a_result(f"fast-{n}", duration_s=0.1) for n in range(9_000)]
    slow = [a_result(f"slow-{n}", duration_s=50.0) for n in range(5)]
    bad = [a_failure(f"bad-{n}", ended_s=float(n)) for n in range(995)]
    summary = a_summary(*fast, *slow, *bad)
    lines = report(summary, tails={step.id: ("x",) * 500 for step in shown_in_full(summary)})
    assert len(lines) < TABLE_LIMIT + FULL_FAILURES * 27 + 30
    assert sum(line.startswith("✓ slow-") for line in lines) == 5
    assert "… 9965 more steps not shown (in all: 995 failed, 9005 completed)" in lines
    assert "… and 955 more failures" in lines
    assert "The 20 that came first, with what they printed:" in lines


def test_the_last_failure_is_told_last_and_tolerated_ones_first() -> None:
    late, early = a_failure("late", ended_s=9.0), a_failure("early", ended_s=2.0)
    mild = a_failure("mild", ended_s=99.0, tolerated=True)
    assert [step.id for step in shown_in_full(a_summary(late, mild, early))] == ["mild", "early", "late"]


def test_both_logs_are_named_where_stdout_was_kept_apart() -> None:
    lines = report(a_summary(a_failure(stdout_log="logs/a b.out", stderr_log="logs/a b.log")))
    assert "  log: '/srv/run/logs/a b.out'" in lines
    assert "  log: '/srv/run/logs/a b.log'" in lines


hostile = st.text("ab日\x1b]\x07[/é\u202e\n\r\t \ud800'\"\\$`", max_size=40)


@given(
    st.lists(st.tuples(hostile, st.sampled_from(Outcome), hostile, hostile, st.booleans()), max_size=5),
    st.integers(0, 120),
    st.sampled_from((PRETTY, PLAIN)),
)
def test_nothing_foreign_is_obeyed_by_the_terminal(
    steps: list[tuple[str, Outcome, str, str, bool]], width: int, style: Style
) -> None:
    results = [
        a_result(
            f"{n}{id}",
            outcome,
            reason=why,
            argv=(word, id),
            cwd=word,
            stderr_log=id,
            env={word: why},
            tests=(StepTested(id, 1, word, False, why, log=why),) if n % 2 else (),
            decision=StepDecided(id, True, (word, why), why),
        )
        for n, (id, outcome, why, word, _) in enumerate(steps)
    ]
    tails: dict[str, tuple[str, ...]] = {result.id: (result.cwd, result.reason or "") for result in results}
    tails |= {test.log: (test.test, test.log) for result in results for test in result.tests}
    for line in report(a_summary(*results), tails=tails, style=style, width=width):
        assert not any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 or char == "\u202e" for char in line)
        line.encode("utf-8" if style.unicode else "ascii")


@given(st.integers(20, 140))
def test_the_table_keeps_to_the_width(width: int) -> None:
    summary = a_summary(a_result("a" * 300), a_result("日" * 300, Outcome.SKIPPED, reason="because " * 50))
    assert all(cells(line) <= width for line in report(summary, width=width)[:3])


# --- the command to paste ----------------------------------------------------------------------


def pasted(argv: Sequence[str], env: dict[str, str | None] | None = None, style: Style = PRETTY) -> str:
    return paste(argv, "/srv/my app", env or {}, {}, style)


def test_the_command_goes_to_its_folder_and_takes_its_environment() -> None:
    line = pasted(("make", "all targets"), {"CI": "1", "MSG": "it's"})
    assert line == """cd '/srv/my app' && CI=1 MSG='it'"'"'s' make 'all targets'"""


def test_a_name_taken_away_or_strange_needs_env() -> None:
    assert pasted(("x",), {"A": "1", "B": None}) == "cd '/srv/my app' && env -u B A=1 x"
    assert pasted(("x",), {"npm.a": "b c"}) == "cd '/srv/my app' && env 'npm.a=b c' x"


def test_of_stepwaves_own_names_only_what_is_needed_is_laid_over() -> None:
    env: dict[str, str | None] = {"WORKFLOW_ID": "ci", "STEPWAVE_REF_1": "v", "STEPWAVE_REF_11": "w"}
    script = 'echo "$STEPWAVE_REF_1"'
    assert pasted(("sh", "-c", script), env).startswith("cd '/srv/my app' && STEPWAVE_REF_1=v sh")
    assert paste(("x",), "", env, {"WORKFLOW_ID": None}, PRETTY) == "WORKFLOW_ID=ci x"


def test_a_keyword_or_an_assignment_in_front_stays_a_command() -> None:
    assert pasted(("time", "x")).endswith("&& 'time' x")
    assert pasted(("a=b", "x")).endswith("&& 'a=b' x")


def test_a_script_keeps_its_lines_and_their_columns() -> None:
    lines = report(a_summary(a_failure(argv=("sh", "-c", "cat <<END\n  two\nEND"), cwd="/w")))
    at = lines.index("  cd /w && sh -c 'cat <<END")
    assert lines[at + 1 : at + 3] == ["  two", "END'"]


def test_a_command_too_long_to_paste_is_told_by_its_beginning_and_its_place() -> None:
    lines = report(a_summary(a_failure("big", argv=("sh", "-c", "echo\n" * 5_000))), Step("big", HERE))
    assert "  (the beginning of a command of 5001 lines, 25008 characters; ci.yaml:41)" in lines
    assert len(lines) < 40


@pytest.mark.parametrize(
    ("stdin", "end"),
    [
        (Stdin(path="in put.txt"), "x < '/srv/app/in put.txt'"),
        (Stdin(path="/abs"), "x < /abs"),
        (Stdin(text="a\nb"), "printf %s 'a"),
        (Stdin(text="{{steps.a.output}}"), "x"),
        (Stdin(text="${NAME}"), "printf %s '${NAME}' | x"),
    ],
)
def test_what_a_step_reads_is_part_of_its_command(stdin: Stdin, end: str) -> None:
    lines = report(a_summary(a_failure(argv=("x",), cwd="/a && b")), Step("test", HERE, stdin=stdin))
    assert f"  cd '/a && b' && {end}" in lines


plain_words = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=20)


@given(st.lists(plain_words | st.text("a '\"\\$!\n*~#&", max_size=10), min_size=1, max_size=5))
def test_plain_words_survive_the_shells_quoting(argv: list[str]) -> None:
    assert shlex.split(paste(argv, "", {}, {}, PRETTY)) == argv


@pytest.mark.skipif(not shutil.which("bash"), reason="bash reads the quoting of control characters")
@settings(max_examples=30, deadline=None)
@given(st.lists(hostile, min_size=1, max_size=4), st.sampled_from((PRETTY, PLAIN)))
def test_hostile_words_reach_the_program_as_they_are(words: list[str], style: Style) -> None:
    line = paste(("printf", r"%s\0", *words), "/", {}, {}, style)
    done = subprocess.run(["bash", "-c", line.encode()], capture_output=True, check=True, timeout=20)
    assert done.stdout.split(b"\0")[:-1] == [word.encode("utf-8", "surrogatepass") for word in words]


def test_of_many_pools_those_are_shown_that_were_waited_for() -> None:
    names = [f"p{n}" for n in range(500)]
    waits = {name: float(n in (7, 400)) for n, name in enumerate(names)}
    statistics = STATISTICS._replace(
        utilization=dict.fromkeys(names, 0.5), peak_utilization=dict.fromkeys(names, 1.0), resource_wait_s=waits
    )
    lines = report(a_summary(a_result(), statistics=statistics))
    pools = [line.split()[1] for line in lines if line.startswith("  pool ")]
    assert len(pools) == 10
    assert pools[-1] == "p400" and "p7" in pools
    assert any(line.split() == ["…", "490", "more", "pools"] for line in lines)


def test_a_row_of_the_table_ends_with_its_last_words() -> None:
    """Blanks behind them would make a row that fits look cut."""
    lines = report(a_summary(a_result("a" * 30), a_failure("b", reason="x" * 60, attempts=2)), width=70)
    rows = [line for line in lines if (line[:1] in "✓✗" and "completed" in line) or "failed " in line]
    assert [row.endswith("…") for row in rows][:2] == [False, True]
    assert all(row == row.rstrip() for row in lines)
