"""Plans (`plan_id`, `globals`): every key of theirs that decides what happens, seen from outside."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.invoke import stepwave


def sh(script: str, **more: object) -> dict[str, Any]:
    return {"command": "sh", "args": ["-c", script], **more}


def plan(folder: Path, *steps: dict[str, Any], **around: object) -> None:
    numbered = [{"id": chr(ord("a") + n), **step} for n, step in enumerate(steps)]
    (folder / "plan.json").write_text(json.dumps({"plan_id": "P-1", "version": "1.0.0", **around, "steps": numbered}))


def ran(folder: Path, *words: str, **env: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Exit code, and what the result says of each step."""
    ended = stepwave("run", "plan.json", "--json", "--quiet", *words, cwd=folder, env=env)
    return ended.code, json.loads(ended.out)["stepResults"]


def statuses(folder: Path, *words: str) -> tuple[int, str]:
    code, steps = ran(folder, *words)
    return code, " ".join(f"{id}={step['status']}" for id, step in steps.items())


# --- failures --------------------------------------------------------------------------------------------------------


def test_a_failure_ends_the_plan(tmp_path: Path) -> None:
    plan(tmp_path, sh("exit 1"), sh("true"))
    assert statuses(tmp_path) == (1, "a=failed b=skipped")


@pytest.mark.parametrize(
    ("said", "ended"),
    [
        ({"critical": False}, (0, "a=failed b=completed c=completed")),
        ({"critical": True}, (1, "a=failed b=skipped c=skipped")),
        ({"on_failure": "abort"}, (1, "a=failed b=skipped c=skipped")),
        ({"on_failure": "skip_dependents"}, (1, "a=failed b=skipped c=completed")),
        ({"on_failure": "continue"}, (0, "a=failed b=completed c=completed")),
        ({"critical": False, "on_failure": "continue"}, (0, "a=failed b=completed c=completed")),
    ],
)
def test_what_a_failure_means(said: dict[str, object], ended: tuple[int, str], tmp_path: Path) -> None:
    """Step b needs a, c needs nothing. The original waited for ever where a failure was tolerated."""
    plan(tmp_path, sh("exit 1", **said), sh("true", depends_on=["a"]), sh("true"))
    assert statuses(tmp_path) == ended


def test_a_policy_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    plan(tmp_path, sh("touch ran", on_failure="explode"))
    ended = stepwave("run", "plan.json", cwd=tmp_path)
    assert ended.code == 2
    assert "`on_failure` must be one of `abort`, `skip_dependents` and `continue`, not `explode`" in ended.err
    assert not (tmp_path / "ran").exists()


# --- trying again ----------------------------------------------------------------------------------------------------

THIRD_TIME = 'echo x >> tries; test "$(wc -l < tries)" -ge 3'


def test_retries_are_further_attempts(tmp_path: Path) -> None:
    plan(tmp_path, sh(THIRD_TIME, retries=2, retry_delay_sec=0))
    code, steps = ran(tmp_path)
    assert (code, steps["a"]["status"], steps["a"]["attempts"]) == (0, "completed", 3)


def test_one_too_few(tmp_path: Path) -> None:
    plan(tmp_path, sh(THIRD_TIME, retries=1))
    code, steps = ran(tmp_path)
    assert (code, steps["a"]["status"], steps["a"]["attempts"]) == (1, "failed", 2)


def test_default_retries_are_for_steps_that_do_not_say(tmp_path: Path) -> None:
    plan(tmp_path, sh("exit 1", critical=False), sh("exit 1", retries=0), globals={"default_retries": 2})
    _, steps = ran(tmp_path)
    assert [step["attempts"] for step in steps.values()] == [3, 1]


def test_timeouts_are_seconds(tmp_path: Path) -> None:
    late = {"timeout_sec": 0.2, "critical": False}
    plan(tmp_path, sh("exec sleep 60", **late), sh("true", timeout_sec=60), globals={"default_timeout_sec": 0.1})
    code, steps = ran(tmp_path)
    assert (code, steps["a"]["status"], steps["b"]["status"]) == (0, "timeout", "completed")
    plan(tmp_path, sh("exec sleep 60"), globals={"default_timeout_sec": 0.1})
    assert statuses(tmp_path) == (1, "a=timeout")


# --- what a step finds -----------------------------------------------------------------------------------------------


def test_variables_are_filled_in_and_what_is_the_shells_is_left_alone(tmp_path: Path) -> None:
    plan(
        tmp_path,
        {
            "command": "printf",
            "args": ["%s|", "${BRANCH}", "${NOPE}", "${env.USER_NAME}", "${env.GONE:-none}", "$${BRANCH}"],
        },
        sh('printf "%s|" "${BRANCH}" "${LOCAL}" "${NOPE-unset}"', env={"LOCAL": "${BRANCH}-local"}),
        {"command": "echo ${BRANCH}", "shell": True, "cwd": "${BRANCH}"},
        variables={"BRANCH": "main line"},
    )
    (tmp_path / "main line").mkdir()
    code, steps = ran(tmp_path, USER_NAME="me")
    assert code == 0
    assert [step["output"].rstrip("\n") for step in steps.values()] == [
        "main line|${NOPE}|me|none|${BRANCH}|",
        "main line|main line-local|unset|",
        "main line",
    ]
    _, steps = ran(tmp_path, "--var", "BRANCH=.")
    assert steps["c"]["output"] == ".\n"


def test_a_value_is_never_a_second_command(tmp_path: Path) -> None:
    plan(tmp_path, {"command": "echo ${X}", "shell": True}, variables={"X": "a; touch ran $(touch ran) `touch ran`"})
    code, steps = ran(tmp_path)
    assert (code, steps["a"]["output"]) == (0, "a; touch ran $(touch ran) `touch ran`\n")
    assert not (tmp_path / "ran").exists()


def test_the_environment_is_added_to_and_not_replaced(tmp_path: Path) -> None:
    show = 'printf "%s|" "$HERE" "$PLAN" "$STEP" "${PATH:+path}"'
    plan(
        tmp_path, sh(show, env={"STEP": "step", "PLAN": "step"}), sh(show),
        globals={"env": {"PLAN": "plan", "STEP": "plan"}},
    )  # fmt: skip
    code, steps = ran(tmp_path, HERE="here")
    assert code == 0
    assert [step["output"] for step in steps.values()] == ["here|step|step|path|", "here|plan|plan|path|"]


# --- when a step runs ------------------------------------------------------------------------------------------------


def test_a_plan_runs_one_step_at_a_time_unless_it_says_otherwise(tmp_path: Path) -> None:
    """Each step sees whether the other one has begun; a rendezvous needs both at once."""
    meet = "touch {0}; n=0; until test -e {1} || test $n -ge {2}; do n=$((n+1)); sleep 0.01; done; test -e {1}"
    plan(tmp_path, sh(meet.format("x", "y", 2), critical=False), sh(meet.format("y", "x", 2)))
    assert statuses(tmp_path) == (0, "a=failed b=completed")
    for mark in ("x", "y"):
        (tmp_path / mark).unlink()
    both = (sh(meet.format("x", "y", 3000)), sh(meet.format("y", "x", 3000)))
    plan(tmp_path, *both, globals={"max_concurrency": 2})
    assert statuses(tmp_path) == (0, "a=completed b=completed")


def test_a_condition_decides(tmp_path: Path) -> None:
    plan(
        tmp_path, sh("true", condition="variables.deploy == 'yes'"), sh("true", condition=None, depends_on=["a"]),
        variables={"deploy": "no"},
    )  # fmt: skip
    assert statuses(tmp_path) == (0, "a=skipped b=completed")
    assert statuses(tmp_path, "--var", "deploy=yes") == (0, "a=completed b=completed")


def test_what_is_for_people_is_read_and_changes_nothing(tmp_path: Path) -> None:
    notes = {"provides": ["x"], "consumes": ["y"], "tags": ["t"], "ui_hints": {"group": "g"}, "description": "d"}
    plan(tmp_path, sh("true", **notes), metadata={"project": "p"}, description="d")
    ended = stepwave("validate", "--strict", "--format", "json", "plan.json", cwd=tmp_path)
    assert (ended.code, json.loads(ended.out)["diagnostics"]) == (0, [])
    assert statuses(tmp_path) == (0, "a=completed")
