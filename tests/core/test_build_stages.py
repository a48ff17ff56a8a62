"""What undoes the steps of a run that fails."""

import pytest

from stepwave.core.model import Limits, Retry, Stage, Step, StepType, StopRule
from tests.core.build_texts import built, codes, step_of, told, workflow_of


def undo_of(said: dict[str, object], **around: object) -> Step | None:
    return step_of({"run": "x", "compensation": said}, **around).undo


def test_a_compensation_is_a_step_of_its_own() -> None:
    said = {
        "name": "Deploy", "run": "x", "workingDirectory": "sub", "env": {"A": "1"}, "retries": 5, "timeout": "1m",
        "condition": "true", "kill": {"grace": "1s"}, "limits": {"openFiles": 9}, "needs": [],
        "compensation": {"command": "kubectl rollback it", "timeout": 3, "retries": 2},
    }  # fmt: skip
    undo = step_of(said).undo
    assert undo is not None
    assert (undo.id, undo.name, undo.type, undo.stage) == ("a.undo", "undo Deploy", StepType.SCRIPT, Stage.ROLLBACK)
    assert (undo.argv, undo.script) == (("kubectl", "rollback", "it"), None)
    assert (undo.cwd, undo.env) == ("sub", {"A": "1"})
    assert (undo.timeout_s, undo.retry) == (3.0, Retry(3))
    assert (undo.stop, undo.limits) == (StopRule(grace_s=1.0), Limits(open_files=9))
    assert (undo.needs, undo.condition, undo.undo) == ((), None, None)
    assert undo.continue_on_error  # it does not keep the others from being undone


@pytest.mark.parametrize(
    ("said", "argv", "script"),
    [
        ({"command": "rm", "args": ["a b", 1]}, ("rm", "a b", "1"), None),
        ({"command": ["rm", "a b"]}, ("rm", "a b"), None),
        ({"command": "rm x | y"}, ("/bin/sh", "-c"), "rm x | y"),
    ],
)
def test_its_command_is_like_that_of_a_step(said: dict[str, object], argv: tuple[str, ...], script: str | None) -> None:
    undo = undo_of(said)
    assert undo is not None
    assert (undo.argv, undo.script) == (argv, script)


def test_none_is_none() -> None:
    assert step_of({"run": "x"}).undo is None
    assert undo_of({"command": "y", "enabled": False}) is None
    assert undo_of({"enabled": False}) is None
    assert undo_of({"command": "y"}, saga={"enabled": False}) is None


def test_what_a_saga_says() -> None:
    steps = "steps:\n- {id: a, run: x, compensation: {command: y}}\n- {id: b, run: x, compensation: {command: y}}\n"
    assert not workflow_of(steps).rollback_parallel
    assert not workflow_of(f"saga: {{rollback_order: reverse}}\n{steps}").rollback_parallel
    workflow = workflow_of(f"saga: {{rollback_order: parallel, timeout: 9, steps: [b]}}\n{steps}")
    assert workflow.rollback_parallel
    assert workflow.timeout_s == 9.0
    assert {step.id: step.undo is not None for step in workflow.steps} == {"a": False, "b": True}


def test_workstreams_have_sagas_of_their_own() -> None:
    step = {"id": "a", "run": "x", "compensation": {"command": "y"}}
    streams = [
        {"id": "one", "steps": [step]},
        {"id": "two", "steps": [step], "saga": {"enabled": False}},
        {"id": "three", "steps": [step, {**step, "id": "b"}], "saga": {"steps": ["b"]}},
    ]
    undo = {step.id: step.undo and step.undo.id for step in workflow_of(streams).steps}
    assert undo == {"one.a": "one.a.undo", "two.a": None, "three.a": None, "three.b": "three.b.undo"}


def test_every_step_of_a_matrix_has_its_own() -> None:
    said = {"run": "x", "matrix": {"os": ["linux", "mac"]}, "compensation": {"command": "y {{matrix.os}}"}}
    workflow = workflow_of({"saga": {"steps": ["a"]}, "steps": [{"id": "a", **said}]})
    undo = {step.undo.id: dict(step.undo.bindings) for step in workflow.steps if step.undo}
    assert undo == {f"a[os={os}].undo": {"matrix": {"os": os}} for os in ("linux", "mac")}


def test_it_may_read_what_its_step_brought() -> None:
    text = "steps:\n- {id: a, run: x, compensation: {command: 'rm {{steps.a.output}}'}}\n"
    assert codes(text) == []
    assert codes(text.replace("steps.a.", "steps.b.")) == ["unknown-step"]


def test_an_action_without_a_command_is_told() -> None:
    found = built({"steps": [{"id": "a", "run": "x", "compensation": {"action": "undo it", "parameters": {"x": 1}}}]})[
        1
    ]
    assert [(d.severity.value, d.code) for d in found] == [("info", "no-effect")]
    assert "not undone" in found[0].message
    beside = {"command": "y", "action": "undo it", "parameters": {"x": 1}}
    assert codes({"steps": [{"id": "a", "run": "x", "compensation": beside}]}) == ["no-effect", "no-effect"]


@pytest.mark.parametrize(
    ("said", "code", "column"),
    [
        ("rm x", "wrong-type", 33),
        ("{enabled: true}", "missing-key", 19),
        ("{comand: x}", "unknown-key", 34),
        ("{command: ''}", "too-short", 43),
        ("{command: x, retries: -1}", "out-of-range", 55),
        ("{command: x, timeout: soon}", "bad-duration", 55),
        ("{command: x, enabled: maybe}", "wrong-type", 55),
        ("{command: x, args: y}", "wrong-type", 52),
    ],
)
def test_what_is_wrong(said: str, code: str, column: int) -> None:
    found = told(f"steps:\n- {{id: a, run: x, compensation: {said}}}\n")
    assert ("error", code, 2, column) in found


@pytest.mark.parametrize(
    ("above", "code"),
    [
        ("compensation: {command: x}", "misplaced-key"),
        ("saga: {rollback_order: random}", "bad-value"),
        ("saga: {steps: [b]}", "unknown-step"),
        ("saga: {enabled: 1}", "wrong-type"),
        ("saga: true", "wrong-type"),
    ],
)
def test_what_is_wrong_with_a_workflow(above: str, code: str) -> None:
    assert [c for _, c, *_ in told(f"{above}\nsteps: [{{id: a, run: x}}]\n")] == [code]
