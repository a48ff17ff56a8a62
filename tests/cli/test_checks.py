"""Tests, checks, compensations, breakers and limits, from the file to what really happened."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.invoke import flow, stepwave


def ran(folder: Path, text: str, *words: str) -> tuple[int, dict[str, dict[str, Any]], str]:
    """Exit code, what the result says of each step, and the words on stderr."""
    flow(folder, text)
    ended = stepwave("run", "flow.yaml", "--output", "result.json", *words, cwd=folder)
    return ended.code, json.loads((folder / "result.json").read_text())["stepResults"], ended.err


def statuses(steps: dict[str, dict[str, Any]]) -> str:
    return " ".join(f"{id}={step['status']}" for id, step in steps.items())


# --- tests and checks ------------------------------------------------------------------------------------------------


def test_a_failed_check_starts_nothing(tmp_path: Path) -> None:
    code, steps, _ = ran(
        tmp_path,
        """
        name: x
        onFailure: skip_dependents
        pre_flight_checks: [touch checked, test -f gone]
        steps:
          - {id: a, run: touch ran}
        """,
    )
    assert (code, steps["a"]["status"]) == (1, "skipped")
    assert (tmp_path / "checked").exists()
    assert not (tmp_path / "ran").exists()


def test_tests_at_the_end_all_run_and_decide(tmp_path: Path) -> None:
    text = """
        name: x
        steps:
          - {id: a, run: echo 42 > out, workingDirectory: sub}
        acceptance_tests:
          - test -f gone
          - {id: answer, command: grep -q 42 sub/out | cat && echo "$WORKFLOW_ID"}
        """
    (tmp_path / "sub").mkdir()
    code, steps, err = ran(tmp_path, text)
    assert (code, statuses(steps)) == (1, "a=completed test.1=failed test.answer=completed")
    assert "  → test.1: FAIL\n" in err
    assert "  → test.answer: PASS\n" in err
    code, steps, _ = ran(tmp_path, text.replace("gone", "sub/out"))
    assert (code, statuses(steps)) == (0, "a=completed test.1=completed test.answer=completed")


def test_tests_at_the_end_do_not_run_after_a_failure(tmp_path: Path) -> None:
    _, steps, _ = ran(tmp_path, "steps: [{id: a, run: exit 1}]\nacceptance_tests: [touch ran]\n")
    assert statuses(steps) == "a=failed test.1=skipped"
    assert not (tmp_path / "ran").exists()


def test_the_tests_of_a_step_run_where_it_ran(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    text = """
        name: x
        steps:
          - id: a
            run: echo {{who}} > out
            workingDirectory: sub
            env: {WHO: me}
            acceptance_tests: ['test "$(cat out)" = "$WHO"', {id: late, command: "test {{who}} = me"}]
          - {id: b, dependsOn: a, run: touch ran}
        """
    code, steps, _ = ran(tmp_path, text, "--var", "who=me")
    assert (code, statuses(steps)) == (0, "a=completed b=completed")
    (tmp_path / "ran").unlink()
    code, steps, err = ran(tmp_path, text, "--var", "who=you")
    assert (code, statuses(steps)) == (1, "a=failed b=skipped")
    assert "acceptance" in err
    assert not (tmp_path / "ran").exists()


def test_a_sentence_is_not_run_and_that_is_said(tmp_path: Path) -> None:
    code, steps, err = ran(tmp_path, "acceptance_tests: [All files are there]\nsteps: [{id: a, run: 'true'}]\n")
    assert (code, statuses(steps)) == (0, "a=completed")
    assert "warning[acceptance-not-command]: `All files are there` reads as a sentence" in err


# --- undoing ---------------------------------------------------------------------------------------------------------

SAGA = """
    name: x
    saga: {rollback_order: %s, enabled: %s}
    steps:
      - id: a
        run: echo made
        compensation: {command: [sh, -c, 'echo a "$0" >> undone'], args: ["{{steps.a.output}}"]}
      - {id: b, dependsOn: a, run: "true", compensation: {command: "false"}}
      - {id: c, dependsOn: b, run: "true", compensation: {command: "sh -c 'echo c >> undone'"}}
      - {id: d, dependsOn: c, run: exit 1, compensation: {command: touch never}}
    """


def test_what_had_been_done_is_undone_the_last_first(tmp_path: Path) -> None:
    code, steps, _ = ran(tmp_path, SAGA % ("reverse", "true"))
    assert code == 1
    assert (tmp_path / "undone").read_text() == "c\na made\n"
    assert {id: steps[id]["status"] for id in ("a", "c")} == {"a": "rolled_back", "c": "rolled_back"}
    assert {id: steps[f"{id}.undo"]["status"] for id in "abc"} == {"a": "completed", "b": "failed", "c": "completed"}
    assert not (tmp_path / "never").exists()


def test_a_saga_may_be_turned_off(tmp_path: Path) -> None:
    code, steps, _ = ran(tmp_path, SAGA % ("reverse", "false"))
    assert (code, statuses(steps)) == (1, "a=completed b=completed c=completed d=failed")
    assert not (tmp_path / "undone").exists()


def test_nothing_is_undone_after_success(tmp_path: Path) -> None:
    _, steps, _ = ran(tmp_path, "steps: [{id: a, run: 'true', compensation: {command: touch never}}]\n")
    assert statuses(steps) == "a=completed"
    assert not (tmp_path / "never").exists()


def test_of_many_of_a_kind_each_undoes_its_own(tmp_path: Path) -> None:
    text = """
        name: x
        steps:
          - id: list
            run: echo '["p", "q"]'
          - id: fan
            forEach: "{{steps.list.output}}"
            run: touch {{item}}
            acceptance_tests: ["test -e {{item}}"]
            compensation: {command: mv, args: ["{{item}}", "{{item}}.undone"]}
          - {id: bad, dependsOn: fan, run: exit 1}
        """
    code, steps, _ = ran(tmp_path, text)
    assert code == 1
    assert sorted(path.name for path in tmp_path.glob("*.undone")) == ["p.undone", "q.undone"]
    assert {id: step["status"] for id, step in steps.items() if "undo" in id} == {
        "fan[p].undo": "completed",
        "fan[q].undo": "completed",
    }


# --- which failures are tried again ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "script", "attempts"),
    [
        ("retry: {attempts: 3, delay: 0, on: {exitCodes: [75]}}", "exit 75", 3),
        ("retry: {attempts: 3, delay: 0, on: {exitCodes: [75]}}", "exit 1", 1),
        ("retry: {attempts: 3, delay: 0, on: {match: 'HTTP 50[0-9]'}}", "echo HTTP 503 >&2; exit 1", 3),
        ("retry: {attempts: 3, delay: 0, on: {match: 'HTTP 50[0-9]'}}", "echo HTTP 404 >&2; exit 1", 1),
        ("circuit_breaker: {max_attempts: 3, error_patterns: [lost]}", "echo connection lost; exit 1", 3),
        ("circuit_breaker: {max_attempts: 3, error_patterns: [lost]}", "echo syntax; exit 1", 1),
        ("retry: {attempts: 2, delay: 0, on: {timeout: true}}, timeout: 100ms", "exec sleep 60", 2),
        ("retry: {attempts: 2, delay: 0, on: {match: x}}, timeout: 100ms", "exec sleep 60", 1),
        ("circuit_breaker: {max_attempts: 9, max_error_repeats: 2}", "echo same; exit 1", 3),
        ("circuit_breaker: {max_attempts: 4, max_error_repeats: 2}", "cat /proc/sys/kernel/random/uuid; exit 1", 4),
        ("circuit_breaker: {max_attempts: 4, enabled: false}", "exit 1", 1),
    ],
)
def test_which_failures_are_tried_again(said: str, script: str, attempts: int, tmp_path: Path) -> None:
    code, steps, _ = ran(tmp_path, f"steps:\n  - {{id: a, run: {json.dumps(script)}, {said}}}\n")
    assert (code, steps["a"]["attempts"]) == (1, attempts)


def test_a_breaker_for_the_whole_run_keeps_later_steps_from_starting(tmp_path: Path) -> None:
    code, steps, _ = ran(
        tmp_path,
        """
        circuit_breaker: {max_attempts: 2, per_step: false}
        onFailure: skip_dependents
        execution: {max_workers: 1}
        steps:
          - {id: a, run: exit 1, max_retries: 0}
          - {id: b, run: "true"}
          - {id: c, run: exit 1, max_retries: 0}
          - {id: d, run: touch ran}
        """,
    )
    assert (code, statuses(steps)) == (1, "a=failed b=completed c=failed d=skipped")
    assert steps["d"]["skipReason"] == "circuit_open"
    assert not (tmp_path / "ran").exists()


# --- limits ----------------------------------------------------------------------------------------------------------


def test_a_step_that_is_silent_for_too_long_is_stopped(tmp_path: Path) -> None:
    code, steps, _ = ran(tmp_path, "steps: [{id: a, run: exec sleep 60, idleTimeout: 100ms}]\n")
    assert (code, steps["a"]["status"]) == (1, "timeout")
    assert "100ms" in steps["a"]["error"]


# --- files -----------------------------------------------------------------------------------------------------------


def test_steps_in_each_others_way_are_not_started(tmp_path: Path) -> None:
    text = "steps:\n  - {id: a, run: touch ran, files_scope: [src/]}\n  - {id: b, run: x, files_create: src/new.py}\n"
    flow(tmp_path, text)
    ended = stepwave("run", "flow.yaml", cwd=tmp_path)
    assert ended.code == 2
    assert (
        "error[files-conflict]: steps `a` and `b` can run at the same time, and both claim `src/new.py`"
        " (`src/` and `src/new.py`)\n --> flow.yaml:3:35\n"
    ) in ended.err
    assert not (tmp_path / "ran").exists()
    flow(tmp_path, text.replace("run: x", "run: 'true', needs: a"))
    assert stepwave("run", "flow.yaml", cwd=tmp_path).code == 0
    assert stepwave("validate", "--strict", "flow.yaml", cwd=tmp_path).code == 2
