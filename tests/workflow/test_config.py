"""Workflow files by three functions."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwave.core.scaffold import KINDS
from stepwave.workflow import create_sample_config, run_config_based_workflow, validate_config_file
from stepwave.workflow.config import MAX_TOLD
from tests.cli.invoke import flow, stepwave
from tests.workflow.gather import Ear

# --- is it valid? ----------------------------------------------------------------------------------------------------


def test_steps_as_a_list_and_as_a_map_are_valid(tmp_path: Path) -> None:
    as_list = flow(tmp_path, "steps: [{id: a, run: 'true'}, {id: b, run: 'true', dependsOn: a}]", "list.yaml")
    as_map = flow(tmp_path, "steps: {a: {run: 'true'}, b: {run: 'true', dependsOn: a}}", "map.yaml")
    called = flow(tmp_path, '{"steps": {"p": {"function": "json:loads", "params": {"s": "1"}}}}', "called.json")
    for path in (as_list, as_map, called, str(as_list)):
        assert validate_config_file(path) == (True, [])


def test_every_error_has_its_place_and_its_pointer(tmp_path: Path) -> None:
    path = flow(
        tmp_path,
        """\
        steps:
          - id: a
            run: 'true'
            dependson: [b]
          - {id: b, run: 'true', timeout: soon}
          - id: c
          - {id: d, run: echo, dependsOn: [nobody]}
        """,
    )
    assert validate_config_file(path) == (
        False,
        [
            f"{path}:4:5: /steps/0/dependson: a step has no key `dependson` (did you mean `dependsOn`?)",
            f"{path}:5:35: /steps/1/timeout: `timeout` is `soon`, which is no duration"
            " (write it like `1500ms`, `30s`, `5m` or `1h30m`)",
            f"{path}:6:9: /steps/2: step `c` does not say what to do"
            " (give it a `run`, a `command`, an `agent`, or `type: noop`)",
            f'{path}:7:36: /steps/3/dependsOn/0: Step "d" depends on non-existent step: nobody',
        ],
    )


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        (None, "Configuration loading failed: {path} not found"),
        ("", "{path}:1:1: "),
        ("steps: [", "{path}:1:"),
        ("downloads: {x: {url: y}}", "{path}:1:1: "),
        ("steps: [{id: a, run: x, needs: b}, {id: b, run: x, needs: a}]", "{path}:1:"),
        ("\x00\xff", "{path}:1:"),
    ],
)
def test_a_file_that_is_no_workflow(text: str | None, begins: str, tmp_path: Path) -> None:
    path = tmp_path / "flow.yaml"
    if text is not None:
        path.write_text(text, "latin-1")
    valid, errors = validate_config_file(path)
    assert not valid
    assert errors
    assert errors[0].startswith(begins.format(path=path))


@pytest.mark.parametrize("path", [None, 3, "", "/dev/null/x", "a\0b", b"\xff", ["x"]])
def test_whatever_is_given_the_answer_is_a_list(path: Any) -> None:
    valid, errors = validate_config_file(path)
    assert not valid
    assert errors
    assert errors[0].startswith("Configuration loading failed: ")


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=200), st.sampled_from(["flow.yaml", "flow.json"]))
def test_whatever_stands_in_the_file(data: bytes, name: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        valid, errors = validate_config_file(path)
        assert valid == (not errors)
        assert not any("\n" in line or "\x1b" in line for line in errors)


def test_very_many_errors_are_counted(tmp_path: Path) -> None:
    steps = [{"id": f"s{n}", "run": "true", "needs": "nobody"} for n in range(MAX_TOLD + 5)]
    path = tmp_path / "many.json"
    path.write_text(json.dumps({"steps": steps}))
    _, errors = validate_config_file(path)
    assert len(errors) == MAX_TOLD + 1
    assert errors[-1] == "5 further errors are not shown"


def test_an_error_in_an_included_file_is_told_there(tmp_path: Path) -> None:
    flow(tmp_path, "steps: [{id: x, run: 'true', timeout: soon}]", "inner.yaml")
    path = flow(tmp_path, "include: [inner.yaml]\nsteps: [{id: a, run: 'true'}]")
    _, errors = validate_config_file(path)
    assert [error.partition("/steps")[2][:12] for error in errors] == ["/0/timeout: "]
    assert "inner.yaml:1:" in errors[0]


SCHEMA = """
{"type": "object", "required": ["owner"], "properties": {
  "owner": {"type": "string"},
  "downloads": {"type": "object", "additionalProperties": {"required": ["url"]}}}}
"""


def test_a_schema_of_ones_own_takes_the_place_of_ours(tmp_path: Path) -> None:
    schema = flow(tmp_path, SCHEMA, "schema.json")
    good = flow(tmp_path, "owner: me\ndownloads: {x: {url: y}}", "good.yaml")
    assert validate_config_file(good, schema) == (True, [])
    bad = flow(tmp_path, "owner: 3\ndownloads:\n  a/b: {ur: y}\n", "bad.yaml")
    assert validate_config_file(bad, schema) == (
        False,
        [
            f"Schema validation failed: {bad}:3:3: /downloads/a~1b: 'url' is a required property",
            f"Schema validation failed: {bad}:1:1: /owner: 3 is not of type 'string'",
        ],
    )
    none = flow(tmp_path, "steps: []", "none.yaml")
    sentence = f"Schema validation failed: {none}:1:1: 'owner' is a required property"
    assert validate_config_file(none, schema) == (False, [sentence])


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (None, "not found"),
        ("{", "Schema validation failed: "),
        ('{"type": "nothing"}', "'nothing' is not valid"),
        ('{"$ref": "https://example.invalid/schema.json"}', "example.invalid"),
        ('{"$ref": "#/definitions/none"}', "definitions/none"),
        ("[1]", "Schema validation failed: "),
    ],
)
def test_a_schema_that_is_none(schema: str | None, words: str, tmp_path: Path) -> None:
    path = flow(tmp_path, "steps: [{id: a, run: 'true'}]")
    if schema is not None:
        (tmp_path / "schema.json").write_text(schema)
    valid, errors = validate_config_file(path, tmp_path / "schema.json")
    assert not valid
    assert len(errors) == 1
    assert errors[0].startswith("Schema validation failed: ")
    assert words in errors[0]


def test_with_a_schema_too_the_file_must_be_there_and_be_read(tmp_path: Path) -> None:
    schema = flow(tmp_path, SCHEMA, "schema.json")
    _, errors = validate_config_file(tmp_path / "none.yaml", schema)
    assert errors == [f"Configuration loading failed: {tmp_path}/none.yaml not found"]
    _, errors = validate_config_file(flow(tmp_path, "a: ["), schema)
    assert errors[0].startswith(f"{tmp_path}/flow.yaml:1:")


# --- what does one look like? ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*KINDS, "scientific", "advanced"])
@pytest.mark.parametrize("suffix", [".yaml", ".json"])
def test_a_sample_is_valid(kind: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / f"sample{suffix}"
    create_sample_config(path, kind)
    assert validate_config_file(path) == (True, [])
    text = path.read_text()
    assert text.startswith("{" if suffix == ".json" else "# yaml-language-server: ")


@pytest.mark.parametrize("kind", ["basic", "scientific", "advanced"])
def test_a_sample_runs(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    path = tmp_path / "sample.json"
    create_sample_config(str(path), kind)
    answer = run_config_based_workflow(path)
    assert answer["success"], answer
    if kind == "basic":
        assert answer["results"]["greet"] == "Hello, world!"


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("mine")
    with pytest.raises(FileExistsError):
        create_sample_config(path)
    assert path.read_text() == "mine"
    create_sample_config(path, overwrite=True)
    assert "Say hello" in path.read_text()
    link = tmp_path / "link.yaml"
    link.symlink_to(tmp_path / "nowhere.yaml")
    with pytest.raises(FileExistsError):
        create_sample_config(link)
    assert not (tmp_path / "nowhere.yaml").exists()


def test_a_sample_of_no_known_type(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="basic, parallel, workstream, ci, data, scientific, advanced: not 'magic'"):
        create_sample_config(tmp_path / "x.yaml", "magic")
    assert list(tmp_path.iterdir()) == []


# --- run it ----------------------------------------------------------------------------------------------------------

KEYS = {"success", "results", "errors", "execution_order", "total_duration", "config_path"}

PIPELINE = """
name: Pipeline
steps:
  - {id: count, run: echo 3}
  - {id: words, run: "printf 'two\\nlines\\n\\n'; echo aside >&2"}
  - {id: function, function: "json:loads", params: {s: '{"n": [1, 2.50]}'}}
  - {id: nothing, function: "json:loads", params: {s: "null"}}
  - {id: silent, run: 'true'}
  - {id: after, dependsOn: [function, count], run: "echo {{steps.function.output.n[0]}}{{steps.count.output}}"}
  - {id: ask, type: condition, dependsOn: [count], expression: "steps.count.output > 2", onTrue: [yes], onFalse: [no]}
  - {id: "yes", run: 'true'}
  - {id: "no", run: 'true'}
  - {id: each, forEach: "{{steps.function.output.n}}", dependsOn: function, run: "echo {{item}}"}
"""


def test_a_file_is_run_as_the_command_would(tmp_path: Path) -> None:
    path = flow(tmp_path, PIPELINE)
    ear = Ear()
    answer = run_config_based_workflow(path, courtesy=[ear.listen])
    assert set(answer) == KEYS
    assert answer["success"]
    assert answer["errors"] == []
    assert answer["config_path"] == str(path)
    assert 0 < answer["total_duration"] < 60
    each = {id: answer["results"].pop(id) for id in list(answer["results"]) if id.startswith("each")}
    assert answer["results"] == {
        "count": 3, "words": "two\nlines", "function": {"n": [1, 2.5]}, "nothing": None, "silent": "", "after": 13,
        "ask": True, "yes": "",
    }  # fmt: skip
    assert each.pop("each") == list(each.values()) == [1, 2.5]
    order = answer["execution_order"]
    assert sorted(order) == sorted({"no", *answer["results"], "each", *each})
    assert order.index("function") < order.index("after")
    assert "StepFinished" in ear.of("after")
    assert "Pipeline" in stepwave("runs", cwd=tmp_path).out


def test_what_goes_wrong_is_told(tmp_path: Path) -> None:
    path = flow(
        tmp_path,
        """
        onFailure: skip_dependents
        steps:
          - {id: bad, run: exit 3}
          - {id: after, dependsOn: bad, run: 'true'}
          - {id: other, run: echo ok}
          - {id: soft, run: 'false', continueOnError: true}
        """,
    )
    answer = run_config_based_workflow(path, record=False)
    assert not answer["success"]
    assert answer["results"] == {"other": "ok"}
    assert answer["errors"] == [
        "Step 'bad' failed: exit code 3",
        "Step 'soft' failed: exit code 1, which was tolerated",
        "Step 'after' skipped: Dependencies failed: bad",
    ]
    assert answer["execution_order"] == ["bad", "other", "soft", "after"]


def test_options_are_those_of_a_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = flow(tmp_path, "variables: {who: nobody}\nsteps: [{id: a, run: 'echo {{variables.who}} $X'}]")
    environ = {"PATH": os.environ["PATH"], "X": "y"}
    answer = run_config_based_workflow(path, variables={"who": "Ada"}, environ=environ, record=False)
    assert answer["results"] == {"a": "Ada y"}
    assert capfd.readouterr() == ("", "")
    run_config_based_workflow(path, verbose=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "[a] Complete" in err
    with pytest.raises(TypeError, match="no_such_option"):
        run_config_based_workflow(path, no_such_option=1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "not found"),
        ("steps: [{id: a, run: x, needs: nobody}]", '/steps/0/needs: Step "a" depends on non-existent step: nobody'),
        ("steps: {x: {run: a, needs: y}, y: {run: a, needs: x}}", "x -> y -> x"),
        ("steps: {x: {function: 'no_such_module_xyz:f'}}", "there is no module `no_such_module_xyz`"),
        ("name: [", ""),
        ("secrets: [NOT_SET_ANYWHERE]\nsteps: [{id: a, run: 'true', secrets: [NOT_SET_ANYWHERE]}]", "NOT_SET_ANYWHERE"),
    ],
)
def test_a_file_that_cannot_be_run_is_an_answer(text: str | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "flow.yaml"
    if text is not None:
        path.write_text(text)
    answer = run_config_based_workflow(path)
    assert set(answer) == KEYS | {"error"}
    assert (answer["success"], answer["results"], answer["execution_order"]) == (False, {}, [])
    assert answer["errors"]
    assert words in answer["errors"][0]
    assert answer["error"] == f"Invalid config: {'; '.join(answer['errors'])}"
    assert answer["config_path"] == str(path)


def test_a_run_that_cannot_be_kept_is_an_answer_too(tmp_path: Path) -> None:
    path = flow(tmp_path, "steps: [{id: a, run: 'true'}]")
    (tmp_path / "file").write_text("")
    environ = {"PATH": os.environ["PATH"], "STEPWAVE_STATE_DIR": str(tmp_path / "file")}
    answer = run_config_based_workflow(path, environ=environ)
    assert not answer["success"]
    assert "the run could not be kept: " in answer["errors"][0]
