"""`secrets` as they are read: where each comes from, who gets it, and what must not know of it."""

from collections.abc import Mapping

import pytest

from stepwave.core.building.build import Inputs, build, build_folder
from stepwave.core.model import Secret, Workflow
from tests.core.build_texts import built, codes, parsed, told, workflow_of

STEPS = "steps: [{id: a, run: x}, {id: b, run: y}]\n"


def sources(workflow: Workflow) -> dict[str, object]:
    return {one.name: one.env or one.path or one.argv for one in workflow.secrets}


def given(workflow: Workflow) -> dict[str, tuple[str, ...]]:
    return {step.id: step.secrets for step in workflow.steps}


# --- what can be written --------------------------------------------------------------------------------------------


def test_a_list_names_variables_of_the_environment() -> None:
    workflow = workflow_of(STEPS + "secrets: [TOKEN, _KEY]")
    assert sources(workflow) == {"TOKEN": "TOKEN", "_KEY": "_KEY"}
    assert given(workflow) == {"a": ("TOKEN", "_KEY"), "b": ("TOKEN", "_KEY")}
    assert workflow.secrets[0].place[:3] == ("ci.yaml", 2, 11)


def test_a_mapping_says_where_each_comes_from() -> None:
    workflow = workflow_of(
        STEPS
        + """secrets:
  A: {env: OTHER}
  B: {file: ../keys/b.txt}
  C: {file: "{{env.HOME}}/{{variables.dir}}/c"}
  D: {command: "pass show d | head -1"}
  E: {command: [pass, show, 1.10]}
  _note: {anything: 1}
  x-more: [1]
variables: {dir: keys}
""",
        environ={"HOME": "/home/me"},
    )
    assert sources(workflow) == {
        "A": "OTHER",
        "B": "../keys/b.txt",
        "C": "/home/me/keys/c",
        "D": ("/bin/sh", "-c", "pass show d | head -1"),
        "E": ("pass", "show", "1.10"),
    }


def test_braces_that_refer_to_nothing_belong_to_the_command() -> None:
    workflow = workflow_of(STEPS + "secrets: {A: {command: \"docker inspect -f '{{.Id}}' x\"}}")
    assert workflow.secrets[0].argv[2] == "docker inspect -f '{{.Id}}' x"


def test_a_secret_of_a_step_is_for_it_alone() -> None:
    workflow = workflow_of(
        """secrets: [ALL]
steps:
  - {id: a, run: x, secrets: {OWN: {file: own.txt}}}
  - {id: b, run: x, secrets: [OWN]}
  - {id: c, run: x}
"""
    )
    assert sources(workflow) == {"ALL": "ALL", "OWN": "own.txt"}
    assert given(workflow) == {"a": ("ALL", "OWN"), "b": ("ALL", "OWN"), "c": ("ALL",)}


def test_a_bare_name_means_the_secret_that_is_declared_in_full_wherever_that_is() -> None:
    text = "steps: [{id: a, run: x, secrets: [T]}, {id: b, run: x, secrets: {T: {file: t}}}]"
    assert sources(workflow_of(text)) == {"T": "t"}


def test_whatever_becomes_a_step_gets_them() -> None:
    workflow = workflow_of(
        """secrets: [T]
phases: [{id: p, steps: [{id: a, run: x, compensation: {command: undo}}]}]
finally: [{id: f, run: x}]
pre_flight_checks: ["test -e x"]
acceptance_tests: ["test -e y"]
"""
    )
    assert set(given(workflow).values()) == {("T",)}
    assert len(workflow.steps) == 4
    undo = workflow.steps[1].undo
    assert undo is not None
    assert undo.secrets == ("T",)
    many = workflow_of("steps: [{id: a, run: x, matrix: {os: [l, m]}, secrets: [T]}]")
    assert given(many) == {"a[os=l]": ("T",), "a[os=m]": ("T",)}


def test_an_included_file_has_secrets_for_its_own_steps() -> None:
    lib = parsed("secrets: {L: {file: key}}\nsteps: [{id: x, run: x}]", "/w/sub/lib.yaml")
    document = parsed("secrets: [T]\ninclude: sub/lib.yaml\nsteps: [{id: a, run: x}]")
    workflow, found = build(document, Inputs(folder="/w", documents={"sub/lib.yaml": lib}))
    assert workflow is not None, found
    assert sources(workflow) == {"T": "T", "L": "sub/key"}
    assert given(workflow) == {"lib.x": ("T", "L"), "a": ("T",)}


def test_each_workstream_of_a_folder_has_its_own() -> None:
    documents = [
        parsed(f"id: {id}\ntool: t\ntasks: [x]\nsecrets: [{name}]\ntools: {{t: cat}}", f"/w/{id}.yaml")
        for id, name in (("one", "A"), ("two", "B"))
    ]
    workflow, found = build_folder("/w", documents, Inputs(folder="/w", environ={"A": "1", "B": "2"}))
    assert workflow is not None, found
    assert sorted(given(workflow).values()) == [("A",), ("B",)]


def test_an_empty_list_is_none() -> None:
    assert workflow_of(STEPS + "secrets: []").secrets == ()
    assert workflow_of(STEPS + "secrets:").secrets == ()


# --- what is wrong --------------------------------------------------------------------------------------------------

WRONG = [
    ("secrets: TOKEN", "wrong-type", 2, 10),
    ("secrets: [1]", "wrong-type", 2, 11),
    ("secrets: ['A B']", "bad-name", 2, 11),
    ('secrets: ["A\\nB"]', "bad-name", 2, 11),
    ("secrets: [1A]", "bad-name", 2, 11),
    ("secrets: {A-B: {env: X}}", "bad-name", 2, 11),
    ("secrets: {A: {env: X-Y}}", "bad-name", 2, 20),
    ("secrets: {A: OTHER}", "wrong-type", 2, 14),
    ("secrets: {A: }", "wrong-type", 2, 14),
    ("secrets: {A: {}}", "missing-key", 2, 11),
    ("secrets: {A: {env: X, file: y}}", "conflicting-keys", 2, 23),
    ("secrets: {A: {file: ''}}", "wrong-type", 2, 21),
    ("secrets: {A: {file: [x]}}", "wrong-type", 2, 21),
    ("secrets: {A: {file: '{{nowhere}}'}}", "unknown-variable", 2, 24),
    ("secrets: {A: {command: ''}}", "too-short", 2, 24),
    ("secrets: {A: {command: []}}", "too-short", 2, 24),
    ("secrets: {A: {command: 'get {{env.HOME}}'}}", "known-too-late", 2, 24),
    ("secrets: [A]\nenv: {A: x}", "conflicting-keys", 2, 11),
    ("secrets: [A]\nenv: {A: }", "conflicting-keys", 2, 11),
    ("secrets: [A]\ndefaults: {env: {A: x}}", "conflicting-keys", 2, 11),
]


@pytest.mark.parametrize(("text", "code", "line", "column"), WRONG)
def test_what_is_wrong_is_told_where_it_stands(text: str, code: str, line: int, column: int) -> None:
    errors = [found for found in told(STEPS + text) if found[0] == "error"]
    assert errors == [("error", code, line, column)]


def test_an_unknown_source_is_told_beside_the_missing_one() -> None:
    assert codes(STEPS + "secrets: {A: {vault: x}}") == ["missing-key", "unknown-key"]
    assert codes(STEPS + "secrets: {A: {fil: x}}") == ["unknown-key"]
    assert codes(STEPS + "secrets: {A: {file: x, vault: y}}") == ["unknown-key"]


@pytest.mark.parametrize(
    "text",
    [
        "steps: [{id: a, run: x, secrets: [A], env: {A: 1}}]",
        "steps: [{id: a, run: x, secrets: [A]}]\nenv: {A: 1}",
        "secrets: [A]\nsteps: [{id: a, run: x, env: {A: 1}}]",
        "steps: [{id: a, run: x, secrets: {A: {file: x}}}, {id: b, run: x, secrets: {A: {file: y}}}]",
        "secrets: {A: {env: B}}\nsteps: [{id: a, run: x, secrets: {A: {env: C}}}]",
    ],
)
def test_one_name_is_one_secret(text: str) -> None:
    assert "conflicting-keys" in codes(text)


def test_another_step_may_have_an_ordinary_variable_of_that_name() -> None:
    workflow_of("steps: [{id: a, run: x, secrets: [A]}, {id: b, run: x, env: {A: 1}}]")


def test_a_repetition_is_told() -> None:
    assert codes(STEPS + "secrets: [A, A]") == ["redundant-key"]
    assert codes("secrets: [A]\nsteps: [{id: a, run: x, secrets: [A]}]") == ["redundant-key"]


# --- references -----------------------------------------------------------------------------------------------------


def test_a_reference_to_a_secret_that_the_step_gets() -> None:
    for reference in ("{{secrets.A}}", "{{env.A}}", "{{default(secrets.Z, '')}}"):
        workflow_of(f'secrets: [A]\nsteps: [{{id: a, run: "echo {reference}"}}]')
    workflow_of('steps: [{id: a, run: x, secrets: [A], matrix: {n: [1, 2]}, env: {X: "{{secrets.A}}"}}]')


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("secrets: [TOKEN]\nsteps: [{id: a, run: 'echo {{secrets.TOKN}}'}]", 38),
        ("steps: [{id: b, run: x, secrets: [T]},\n {id: a, run: 'echo {{secrets.T}}'}]", 31),
        ("steps: [{id: b, run: x, secrets: [T]},\n {id: a, run: 'echo {{env.T}}'}]", 27),
        ("env: {A: 1}\nsteps: [{id: a, run: 'echo {{secrets.T}}'}]", 38),
    ],
)
def test_a_reference_to_one_that_it_does_not_get(text: str, column: int) -> None:
    assert told(text) == [("error", "unknown-secret", 2, column)]


def test_a_variable_or_a_step_may_be_called_secrets() -> None:
    workflow_of("variables: {secrets: {a: 1}}\nsteps: [{id: x, run: 'echo {{secrets.a}}'}]")
    workflow_of("steps: [{id: secrets, run: x}, {id: b, needs: secrets, run: 'echo {{secrets.output}}'}]")


ENVIRON: Mapping[str, str] = {"TOKEN": "canary-123", "FROM": "canary-123", "FREE": "5"}
TOO_EARLY = [
    "timeout: '{{env.TOKEN}}'",
    "variables: {x: 'Bearer {{env.TOKEN}}'}",
    "variables: {x: '{{secrets.TOKEN}}'}",
    "variables: {x: '{{env.FROM}}'}",
    "max_concurrency: '{{secrets.TOKEN}}'",
    "steps: [{id: z, run: x, forEach: '{{split(env.TOKEN, 1)}}'}]",
]


@pytest.mark.parametrize("text", TOO_EARLY)
@pytest.mark.parametrize(
    "secrets", ["secrets: {TOKEN: {env: FROM}}", "steps: [{id: a, run: x, secrets: {TOKEN: {env: FROM}}}]"]
)
def test_what_is_worked_out_when_the_file_is_read_knows_no_secret(text: str, secrets: str) -> None:
    if text.startswith("steps") == secrets.startswith("steps"):
        secrets = "secrets: {TOKEN: {env: FROM}}\n" + ("" if text.startswith("steps") else STEPS)
    workflow, found = built(f"{secrets}\n{text}\n", environ=dict(ENVIRON))
    assert workflow is None
    assert {one.code for one in found} == {"known-too-late"}
    assert "canary" not in repr(found)


def test_no_text_of_a_workflow_holds_a_value() -> None:
    workflow = workflow_of(
        """secrets: [TOKEN]
env: {AUTH: "Bearer {{env.TOKEN}}"}
variables: {free: "{{env.FREE}}"}
steps: [{id: a, run: "echo {{secrets.TOKEN}}"}]
""",
        environ=dict(ENVIRON),
    )
    assert workflow.variables == {"free": "5"}
    assert "canary" not in repr(workflow)
    assert workflow.secrets == (Secret("TOKEN", workflow.secrets[0].place, env="TOKEN"),)
