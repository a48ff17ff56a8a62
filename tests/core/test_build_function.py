"""Steps that call functions: the command that they become, and what is wrong with them."""

import pytest

from stepwave.core.building.build import Inputs, build
from stepwave.core.building.means import Lack, Means
from stepwave.core.diagnostics import Diagnostic, Place
from stepwave.core.model import Function, Step, StepType
from tests.core.build_texts import codes, parsed, told

CALLER = ("py", "call.py")


def steps_of(text: str, **means: object) -> tuple[tuple[Step, ...], list[Diagnostic]]:
    inputs = Inputs(folder="/w", means=Means(caller=CALLER, **means))  # type: ignore[arg-type]
    workflow, found = build(parsed(text), inputs)
    return workflow.steps if workflow else (), found


@pytest.mark.parametrize(
    "said",
    [
        "function: 'tasks.deploy:run', params: {n: 1, who: ['{{x}}', {a: null}]}",
        "function: 'tasks.deploy:run', config: {n: 1, who: ['{{x}}', {a: null}]}",
        "type: function, function: 'tasks.deploy:run', parameters: {n: 1, who: ['{{x}}', {a: null}]}",
        "module: tasks.deploy, action: run, parameters: {n: 1, who: ['{{x}}', {a: null}]}",
        "type: function, module: tasks.deploy, action: run, params: {n: 1, who: ['{{x}}', {a: null}]}",
    ],
)
def test_a_function_is_a_command_that_calls_it(said: str) -> None:
    (step,), found = steps_of(f"variables: {{x: 1}}\nsteps:\n- {{id: a, {said}, timeout: 5s, env: {{A: b}}}}\n")
    assert found == []
    assert (step.type, step.argv) == (StepType.SCRIPT, (*CALLER, "tasks.deploy:run", "/w"))
    assert step.function is not None
    assert step.function.target == "tasks.deploy:run"
    assert step.function.params == {"n": 1, "who": ["{{x}}", {"a": None}]}
    assert step.function.place.line == 3
    assert (step.timeout_s, step.env, step.stdin) == (5.0, {"A": "b"}, None)


def test_the_place_is_that_of_the_name() -> None:
    (step,), _ = steps_of("steps:\n- id: a\n  function: tasks:run\n")
    assert step.function == Function("tasks:run", Place("ci.yaml", 3, 13, 3, 22))


def test_braces_in_the_name_of_the_folder_are_no_reference() -> None:
    workflow, _ = build(
        parsed("steps: [{id: a, function: 'm:f'}]"), Inputs(folder="/{{w}}", means=Means(caller=CALLER))
    )
    assert workflow is not None
    assert workflow.steps[0].argv[-1] == "/\\{{w}}"


@pytest.mark.parametrize(
    ("target", "help"),
    [
        ("tasks", None),
        ("tasks.run", "write `tasks:run`"),
        ("tasks:", None),
        (":run", None),
        ("tasks:run:now", None),
        ("tasks.py:run", "write `tasks:run`"),
        ("lib/tasks.py:run", "write `lib.tasks:run`"),
        ("tasks:run()", "write `tasks:run`"),
        ("tasks: run", None),
        ("1tasks:run", None),
        ("a" * 600 + ":b", None),
        ("x." * 40_000 + "1", None),
    ],
)
def test_a_function_is_written_with_a_colon(target: str, help: str | None) -> None:
    _, found = steps_of(f"steps:\n- id: a\n  function: '{target}'\n")
    assert [(d.code, d.place.line, d.place.column) for d in found] == [("bad-function", 3, 13)]
    assert found[0].help == (help or "for example `tasks:build`, for `def build()` in tasks.py")
    assert len(found[0].message) < 200


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("type: function", "missing-key"),
        ("module: tasks", "missing-key"),
        ("action: run", "missing-key"),
        ("type: function, params: {a: 1}", "missing-key"),
        ("function: 'm:f', params: [1]", "wrong-type"),
        ("function: 'm:f', params: 1", "wrong-type"),
        ("function: [m, f]", "wrong-type"),
        ("function: 'm:f', params: {a: 1}, config: {a: 2}", "conflicting-keys"),
        ("function: 'm:f', stdin: x", "conflicting-keys"),
        ("function: 'm:f', type: function, args: [1]", "conflicting-keys"),
        ("function: 'm:f', type: function, command: x", "conflicting-keys"),
        ("function: 'm:f', type: function, run: x", "conflicting-keys"),
        ("function: 'm:f', type: function, shell: true", "conflicting-keys"),
        ("function: 'm:f', module: m", "conflicting-keys"),
        ("function: 'm:f', action: f", "conflicting-keys"),
        ("function: 'm:f', params: {a: '{{nobody}}'}", "unknown-variable"),
        ("function: 'm:f', params: {a: [{b: '{{steps.z.output}}'}]}", "unknown-step"),
    ],
)
def test_what_is_wrong_is_told(said: str, code: str) -> None:
    assert codes(f"steps:\n- {{id: a, {said}}}\n") == [code]


def test_the_same_twice_is_only_redundant() -> None:
    assert codes("steps: [{id: a, function: 'm:f', params: {a: 1}, config: {a: 1}}]") == ["redundant-key"]


def test_config_of_a_function_may_hold_any_name() -> None:
    text = "name: n\nsteps: [{id: a, function: 'm:f', config: {comand: x, timeout: soon, args: 1}}]"
    assert codes(text, strict=True) == []


def test_a_function_that_is_not_there_is_told_at_its_name() -> None:
    asked: list[tuple[str, str]] = []

    def lack(target: str, folder: str) -> Lack | None:
        asked.append((target, folder))
        return Lack("there is no module `m`", "write one") if target == "m:f" else None

    _, found = steps_of("steps:\n- {id: a, function: 'n:f'}\n- {id: b, function: 'm:f'}\n", lack=lack)
    assert asked == [("n:f", "/w"), ("m:f", "/w")]
    assert [(d.code, d.message, d.help, d.place.line, d.place.column) for d in found] == [
        ("unknown-function", "there is no module `m`", "write one", 3, 21)
    ]


def test_a_file_that_changes_where_python_looks_is_believed() -> None:
    text = "steps:\n- {id: a, function: 'm:f', env: {PYTHONPATH: lib}}\n"
    steps, found = steps_of(text, lack=lambda target, folder: Lack("no", "no"))
    assert (len(steps), found) == (1, [])


def test_a_script_may_speak_of_modules() -> None:
    assert told("steps: [{id: a, run: x, module: m, action: f}]") == []
