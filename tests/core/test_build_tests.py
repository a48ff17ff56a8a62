"""Acceptance tests and pre-flight checks: commands become steps, sentences are told."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwave.core.building.build import Inputs, build
from stepwave.core.building.prose import reads_as_prose
from stepwave.core.diagnostics import Diagnostic
from stepwave.core.model import AcceptanceTest, FailurePolicy, Stage, Step, StepType, Workflow
from tests.core.build_texts import Said, built, codes, parsed, step_of, told, workflow_of

SH = ("/bin/sh", "-c")


def steps_of(said: Said, stage: Stage) -> list[Step]:
    workflow, found = built(said)
    assert workflow is not None, found
    return [step for step in workflow.steps if step.stage is stage]


# --- of a workflow ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "stage", "prefix"),
    [
        ("acceptance_tests", Stage.ACCEPT, "test"),
        ("acceptanceTests", Stage.ACCEPT, "test"),
        ("pre_flight_checks", Stage.CHECK, "check"),
        ("preFlightChecks", Stage.CHECK, "check"),
    ],
)
def test_commands_become_steps_of_their_stage(key: str, stage: Stage, prefix: str) -> None:
    full = {"id": "smoke", "command": "./smoke a|b", "description": "It runs\nat all", "timeout": "5s"}
    first, second = steps_of({key: ["test -f x", full], "steps": [{"id": "a", "run": "x"}]}, stage)
    assert (first.id, first.name, first.argv, first.script) == (f"{prefix}.1", "1", SH, "test -f x")
    assert (second.id, second.name, second.script) == (f"{prefix}.smoke", "It runs", "./smoke a|b")
    assert (first.timeout_s, second.timeout_s) == (None, 5.0)
    assert second.description == "It runs\nat all"
    for step in (first, second):
        assert (step.type, step.needs, step.cwd) == (StepType.SCRIPT, (), ".")
    assert (first.place.line, first.retry.attempts) == (1, 1)


def test_a_failed_check_ends_the_run_and_a_failed_test_only_itself() -> None:
    said = {"acceptance_tests": ["a"], "pre_flight_checks": ["b"], "steps": [{"id": "a", "run": "x"}]}
    workflow = workflow_of({"onFailure": "continue", **said})
    policy = {step.id: step.on_failure for step in workflow.steps}
    assert policy == {"a": None, "test.1": FailurePolicy.SKIP_DEPENDENTS, "check.1": FailurePolicy.ABORT}


def test_what_holds_for_steps_holds_for_tests() -> None:
    said = {
        "defaults": {"timeout": "9s", "env": {"A": "1"}, "retries": 3, "workingDirectory": "sub"},
        "acceptance_tests": ["a", {"command": "b", "timeout": 0}],
        "steps": [{"id": "a", "run": "x"}],
    }
    first, second = steps_of(said, Stage.ACCEPT)
    assert (first.timeout_s, second.timeout_s) == (9.0, None)
    assert (first.env, first.retry.attempts, first.cwd) == ({"A": "1"}, 1, ".")


def test_ids_are_unique() -> None:
    said = {"acceptance_tests": ["x", {"id": "t", "command": "x"}, "y"], "steps": [{"id": "test.1", "run": "x"}]}
    assert [step.id for step in steps_of(said, Stage.ACCEPT)] == ["test.1-2", "test.t", "test.3"]


def test_workstreams_of_a_list_have_their_own() -> None:
    stream = {"acceptance_tests": ["x"], "pre_flight_checks": ["y"], "steps": [{"id": "a", "run": "x"}]}
    workflow = workflow_of([{"id": "one", **stream}, {"id": "two", **stream, "depends_on": ["one"]}])
    assert sorted(step.id for step in workflow.steps if step.stage is Stage.ACCEPT) == ["one.test.1", "two.test.1"]
    assert sorted(step.id for step in workflow.steps if step.stage is Stage.CHECK) == ["one.check.1", "two.check.1"]


def test_a_workstream_without_steps_keeps_its_tests_for_the_end() -> None:
    workflow, _ = built({"id": "ws", "tool": "t", "tasks": ["do it"], "acceptance_tests": ["x"]})
    assert workflow is not None
    assert [(step.id, step.stage) for step in workflow.steps] == [("main", Stage.MAIN), ("test.1", Stage.ACCEPT)]
    assert workflow.steps[0].tests == ()


# --- of a step -------------------------------------------------------------------------------------------------------


def test_tests_of_a_step() -> None:
    tests = ["x", {"id": "t", "command": "y", "timeout": "3s", "description": "d"}, {"command": "z", "timeout": 0}]
    expected = (AcceptanceTest("1", "x"), AcceptanceTest("t", "y", 3.0, "d"), AcceptanceTest("3", "z", 0.0))
    assert step_of({"run": "x", "acceptance_tests": tests}).tests == expected
    assert step_of({"run": "x", "acceptanceTests": tests}).tests == expected
    assert step_of({"run": "x", "acceptance_tests": []}).tests == ()


def test_a_test_may_read_what_its_step_brought() -> None:
    text = "steps:\n- {id: a, run: x, acceptance_tests: ['test {{steps.a.output}} = 1']}\n"
    assert codes(text) == []
    assert codes(text.replace("steps.a", "steps.b")) == ["unknown-step"]


def test_a_test_knows_what_its_step_is_one_of() -> None:
    said = {"run": "x", "matrix": {"os": ["linux"]}, "acceptance_tests": ["test -d {{matrix.os}}"]}
    (step,) = workflow_of({"steps": [{"id": "a", **said}]}).steps
    assert (step.tests[0].script, dict(step.bindings)) == ("test -d {{matrix.os}}", {"matrix": {"os": "linux"}})
    fan = {"run": "x", "forEach": "{{steps.b.output}}", "acceptance_tests": ["test -d {{item}}"]}
    assert codes({"steps": [{"id": "b", "run": "x"}, {"id": "a", **fan}]}) == []


# --- what is wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tests", "code", "column"),
    [
        ("x", "wrong-type", 19),
        ("{a: b}", "wrong-type", 19),
        ("[1]", "wrong-type", 20),
        ("[[x]]", "wrong-type", 20),
        ("['']", "too-short", 20),
        ("[{id: a}]", "missing-key", 21),
        ("[{command: ' '}]", "too-short", 30),
        ("[{command: [a]}]", "wrong-type", 30),
        ("[{command: x, id: 'a b'}]", "bad-id", 37),
        ("[{command: x, timeout: soon}]", "bad-duration", 42),
        ("[{command: x, comand: y}]", "unknown-key", 33),
        ("[{command: x, id: a}, {command: y, id: a}]", "duplicate-id", 42),
        ("['x {{ 1 + }}', x]", "bad-expression", 28),
        ("[\"x '{{a}}'\"]", "unknown-variable", 26),
    ],
)
def test_what_is_wrong(tests: str, code: str, column: int) -> None:
    assert (code, 1, column) in [t[1:] for t in told(f"acceptance_tests: {tests}\nsteps: [{{id: a, run: x}}]\n")]


def test_a_check_cannot_read_steps() -> None:
    text = "pre_flight_checks: ['test {{steps.a.output}} = 1']\nsteps: [{id: a, run: x}]\n"
    assert ("error", "known-too-late", 1, 29) in told(text)
    assert codes(text.replace("pre_flight_checks", "acceptance_tests")) == []


# --- sentences -------------------------------------------------------------------------------------------------------

SENTENCES = [
    "All directories exist and contain .gitkeep files",
    "Migration file validates against SQL schema standards",
    "router.config.yaml validates against YAML syntax",
    "Task persists across process restart",
    "Concurrent access test passes without race conditions",
    "All tests pass",
    "Tests pass.",
    "File core/state/queue.py exists",
    "the server starts and answers",
]
COMMANDS = [
    "pytest",
    "pytest tests/plugins/ -q",
    "make test lint docs",
    "npm run build all",
    "go test ./...",
    "test -f core/x.py",
    "Rscript check.R",
    "Rscript check.R --all of the tests",
    'rg -n "^from src" -S | wc -l',
    "The=1 command with all",
    "grep -q the file and",
    "Run (all of it) and more",
    "diff a b",
    "/opt/All the tests pass",
]


def test_sentences_and_commands() -> None:
    assert [text for text in (*SENTENCES, *COMMANDS) if reads_as_prose(text)] == SENTENCES


def from_(said: Said, is_program: Callable[[str], bool]) -> tuple[Workflow | None, list[Diagnostic]]:
    return build(parsed(said), Inputs(is_program=is_program))


def test_a_sentence_is_told_and_not_run() -> None:
    said = {
        "acceptance_tests": ["All tests pass", "x"],
        "steps": [{"id": "a", "run": "x", "acceptance_tests": SENTENCES}],
    }
    workflow, found = from_(said, lambda word: False)
    assert workflow is not None
    assert [(step.id, step.script, step.tests) for step in workflow.steps] == [("a", "x", ()), ("test.2", "x", ())]
    assert {d.code for d in found} == {"acceptance-not-command"}
    assert len(found) == len(SENTENCES) + 1
    assert {d.severity.value for d in found} == {"warning"}


def test_a_sentence_that_begins_with_a_program_is_a_command() -> None:
    said = {"acceptance_tests": ["All tests pass"], "steps": [{"id": "a", "run": "x"}]}
    workflow, found = from_(said, lambda word: word == "All")
    assert workflow is not None
    assert (workflow.steps[-1].script, found) == ("All tests pass", [])


def test_the_long_form_is_always_run() -> None:
    tests = [{"command": sentence} for sentence in SENTENCES]
    step = step_of({"run": "x", "acceptance_tests": tests})
    assert [test.script for test in step.tests] == SENTENCES


@given(st.text(max_size=40))
def test_any_text_is_one_or_the_other(text: str) -> None:
    workflow, found = from_({"acceptance_tests": [text], "steps": [{"id": "a", "run": "x"}]}, lambda word: False)
    told_so = any(d.code == "acceptance-not-command" for d in found)
    assert told_so == reads_as_prose(text)
    if workflow is not None:
        assert len(workflow.steps) == (1 if told_so else 2)
