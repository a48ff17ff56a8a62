"""The published workflow schema, the acceptor made of it, and what is told of files that break it."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from stepwave.core.diagnostics import Diagnostic
from stepwave.core.reading import keys
from stepwave.core.reading.document import Document
from stepwave.core.reading.parse import parse
from stepwave.core.reading.schema import MAX_SHOWN, check_schema
from stepwave.core.reading.schema_accept import compile_acceptor
from stepwave.core.reading.units import seconds_of

REPOSITORY = Path(__file__).resolve().parents[2]
REAL = REPOSITORY / "../shared/data/workflows"
SCHEMA: dict[str, Any] = json.loads((REPOSITORY / "schemas/workflow.schema.json").read_text("utf-8"))
PEER = Draft7Validator(SCHEMA)
accepts = compile_acceptor(SCHEMA)


def read(text: str, name: str = "flow.yaml") -> Document:
    document, found = parse(text.encode(), name)
    assert document is not None, found
    return document


def findings(text: str, name: str = "flow.yaml") -> list[Diagnostic]:
    return check_schema(read(text, name), SCHEMA)


# --- the schema itself -----------------------------------------------------------------------------


def mappings_of_keys(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        for name, part in schema.items():
            if name == "properties":
                yield part
            yield from mappings_of_keys(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from mappings_of_keys(part)


@pytest.mark.parametrize("name", ["workflow", "event", "result"])
def test_every_schema_is_a_draft_7_schema_with_its_own_address(name: str) -> None:
    schema = json.loads((REPOSITORY / f"schemas/{name}.schema.json").read_text("utf-8"))
    Draft7Validator.check_schema(schema)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert schema["$id"] == f"https://stepwave.dev/schemas/{name}.schema.json"


def test_an_editor_can_explain_every_key() -> None:
    for properties in mappings_of_keys(SCHEMA["definitions"]):
        for key, schema in properties.items():
            if set(schema) not in ({"const"}, {"$ref"}, {"not"}):  # conditions, not keys
                assert schema["title"], key
                assert schema["description"].endswith("."), key


def test_an_alias_names_a_key_beside_it_of_the_same_type() -> None:
    for properties in mappings_of_keys(SCHEMA["definitions"]):
        for key, schema in properties.items():
            if found := re.match(r"Alias of `(\w+)`\.", schema.get("description", "")):
                shown = {"title", "description"}
                target = properties[found[1]]
                assert {k: v for k, v in schema.items() if k not in shown} == {
                    k: v for k, v in target.items() if k not in shown
                }, key


@pytest.mark.parametrize(
    ("definition", "table"),
    [
        ("workflow", keys.workflow),
        ("step", keys.step),
        ("step", keys.function_step),
        ("step", keys.plugin_step),
        ("profile", keys.profile),
        ("config", keys.config),
        ("stepParallel", keys.step_parallel),
        ("workflowParallel", keys.parallel),
        ("execution", keys.execution),
        ("defaults", keys.defaults),
        ("globals", keys.plan_globals),
        ("retry", keys.retry),
        ("circuitBreaker", keys.circuit_breaker),
        ("limits", keys.limits),
        ("kill", keys.kill),
        ("compensation", keys.compensation),
        ("fileScope", keys.file_scope),
        ("phase", keys.phase),
        ("stepGroup", keys.step_group),
        ("include", keys.include),
        ("secret", keys.secret),
    ],
)
def test_every_key_that_build_reads_is_in_the_schema(definition: str, table: keys.Keys) -> None:
    read_by_build = {*table.leads, *table.inside, *table.passive}
    assert read_by_build <= set(SCHEMA["definitions"][definition]["properties"])


duration_text = st.text("0123456789.dhmsSinec -\n", max_size=14) | st.from_regex(
    r"\A([0-9]{1,3}(\.[0-9])? ?(d|h|m|min|s|Sec|ms)){1,3}\Z"
)


@given(duration_text)
def test_the_schema_takes_for_durations_what_units_takes(text: str) -> None:
    accepted = compile_acceptor(SCHEMA["definitions"]["duration"])(text)
    assert accepted == (seconds_of(text) is not None)


# --- the acceptor ----------------------------------------------------------------------------------

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 300)
    | st.floats(allow_nan=True)
    | st.sampled_from([0.0, 1.0, 1.5, 10**30, "", "a", "auto", "{{x}}", "${X}", "30s", "300", "abort", "a b", "\0"])
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "_c", "x-d", "id", "type", "file"]), inner, max_size=3)
    ),
    max_leaves=6,
)
"""Anything that a file may hold, with a bias to what the schema knows."""

EXAMPLE: dict[str, Any] = {
    "id": "ci",
    "version": 1.0,
    "timeout": "5m",
    "env": {"CI": True, "GONE": None},
    "parallel": {"enabled": "${env.CI}", "defaultMaxConcurrency": "auto", "resources": {"cpu": 2, "_c": "note"}},
    "execution": {"parallel": True, "max_workers": 3, "timeout_per_step": 300},
    "defaults": {"timeout": 1000, "retries": 1, "shell": False},
    "onFailure": "abort",
    "step_groups": [{"id": "g", "steps": ["a"], "execute": "parallel", "max_workers": 1}],
    "secrets": ["TOKEN"],
    "priority": "P0",
    "steps": [
        {
            "id": "a",
            "type": "script",
            "config": {"command": "npm", "args": ["run", 1, True], "timeout": "{{multiply(30000, 2)}}"},
            "dependsOn": None,
            "parallel": {"resource": ["cpu"], "maxConcurrency": 1, "isolateErrors": False},
            "retry": {"attempts": 2, "backoff": "fixed", "on": {"exitCodes": [1]}},
            "kill": {"signal": "TERM", "grace": 5},
            "stdin": {"file": "in.txt"},
            "matrix": {"os": ["a", "b"], "include": [{}]},
        },
        {
            "name": "b",
            "type": "condition",
            "expression": {"type": "and", "conditions": [{"type": "exists", "left": "{{x}}"}]},
            "onTrue": ["a"],
            "acceptance_tests": ["true", {"command": "false"}],
        },
    ],
    "finally": {"clean": {"run": "rm x"}, "_note": 1},
}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(item, (*path, key))


@st.composite
def damaged_workflows(draw: st.DrawFn) -> Any:
    """A workflow as people write them, in which a few values were replaced, taken away or put in."""
    flow: Any = deepcopy(EXAMPLE)
    shape = draw(st.sampled_from(["mapping", "steps", "map of steps", "workstreams", "workflows"]))
    if shape == "steps":
        flow = flow["steps"]
    elif shape == "map of steps":
        flow["steps"] = {"a": flow["steps"][0], "b.c": flow["steps"][1]}
    elif shape == "workstreams":
        flow = [{"id": "w", "tool": "t", "tasks": ["do"], "gate": 1, "files_create": []}, flow]
    elif shape == "workflows":
        flow = {"workflows": {"one": flow, "two": flow["steps"]}}
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from(list(places(flow))[1:]))
        owner = flow
        for part in path[:-1]:
            owner = owner[part]
        action = draw(st.sampled_from(["replace", "remove", "add"]))
        if action == "remove" and len(owner) > 1:
            del owner[path[-1]]
        elif action == "add" and isinstance(owner, dict):
            owner[draw(st.sampled_from(tuple(SCHEMA["definitions"]["step"]["properties"])))] = draw(json_values)
        else:
            owner[path[-1]] = draw(json_values)
    return flow


@given(json_values)
def test_the_acceptor_and_jsonschema_agree_on_anything(value: object) -> None:
    assert accepts(value) == PEER.is_valid(value)


@settings(max_examples=300, deadline=None)
@given(damaged_workflows())
def test_the_acceptor_and_jsonschema_agree_on_workflows(value: object) -> None:
    assert accepts(value) == PEER.is_valid(value)


@pytest.mark.parametrize(
    "definition", ["duration", "scalar", "command", "environment", "resource", "expression", "steps"]
)
@given(value=json_values)
def test_the_acceptor_and_jsonschema_agree_on_parts(definition: str, value: object) -> None:
    part = {"$ref": f"#/definitions/{definition}", "definitions": SCHEMA["definitions"]}
    assert compile_acceptor(part)(value) == Draft7Validator(part).is_valid(value)


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "integer"},
        {"type": ["null", "number"], "exclusiveMinimum": 1},
        {"enum": [1, "a", None]},
        {"enum": [True, 0]},
        {"const": False},
        {"const": 1},
        {"type": "object", "required": ["a", "b"]},
        {"properties": {"a": {"type": "null"}}, "additionalProperties": {"type": "boolean"}},
        {"patternProperties": {"a": {"type": "string"}, "_": False}, "additionalProperties": False},
        {"not": {"type": "string"}},
        {"anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
        {"anyOf": [{"type": "string"}, {"minimum": 2, "type": "integer"}, False]},
        {"allOf": [{"minLength": 1}, {"maxLength": 2}], "minItems": 1, "minProperties": 1},
        {"if": {"type": "array"}, "then": {"items": {"type": "integer"}}, "else": True},
        {"if": {"type": "array"}, "else": {"maximum": 1}},
        {"then": False},
        {"pattern": "^a$", "maximum": 5, "minimum": 1},
    ],
)
@given(value=json_values | st.integers(-1, 2) | st.sampled_from(["a", "aaa", "a\n", True, 1.0, {"a": None}, {"b": 1}]))
def test_every_keyword_means_what_it_means_to_jsonschema(schema: dict[str, Any], value: object) -> None:
    assert compile_acceptor(schema)(value) == Draft7Validator(schema).is_valid(value)


@pytest.mark.parametrize(
    "schema",
    [
        {"uniqueItems": True},
        {"items": [{}]},
        {"enum": [[1]]},
        {"type": "whole"},
        {"properties": {"a": {"format": "uri"}}},
        {"$ref": "https://example.org/schema.json"},
        {"$ref": "#/definitions/absent"},
        {"definitions": {"a": {"oneOf": []}}},
    ],
)
def test_what_is_not_supported_is_refused_at_once(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="schema"):
        compile_acceptor(schema)


# --- files that are right ----------------------------------------------------------------------------

WRONG_OR_FRAGMENT = re.compile(r"definition-tabs-01|openspec-test-001|ws-abs-003|seed003-block")


@pytest.mark.skipif(not REAL.is_dir(), reason="the collected files are not here")
def test_real_files_are_accepted() -> None:
    refused = []
    for path in sorted(path for path in REAL.rglob("*") if path.suffix in (".yaml", ".json")):
        if not WRONG_OR_FRAGMENT.search(path.name):
            document, found = parse(path.read_bytes(), path.name)
            assert document is not None, found
            refused += [(path.name, finding.message) for finding in check_schema(document, SCHEMA)]
    assert refused == []


EXAMPLES = sorted(path for path in (REPOSITORY / "examples/workflows").glob("*.*") if path.suffix in (".yaml", ".json"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_are_accepted(path: Path) -> None:
    assert findings(path.read_text("utf-8"), path.name) == []


@pytest.mark.parametrize(
    "text",
    [
        "steps: {build: {run: make}, _note: {anything: 1}, x-more: 3}",
        "tasks: [write it, test it]\ntool: aider",
        "tasks: [{id: a, run: b}]",
        "[{id: a, tasks: [b], tool: c, depends_on: []}]",
        "[{name: a, cmd: b}]",
        "workflows: {one: {steps: [{id: a, run: b}]}, two: [{id: a, run: b}]}",
        "steps: [{id: a, run: b, colour: red, timeout: 0, needs: }]\nhue: 3",
        "env:\nsteps:\n- id: a\n  run: b\n  args:",
        "steps: [{id: a, function: 'm:f', config: {timeout: soon, args: {}}}]",
        "dependsOn: [x]\nphases: [{steps: {a: {run: b}}, checkpoint: true}]",
    ],
)
def test_tolerated(text: str) -> None:
    assert findings(text) == []


def test_a_valid_file_does_not_import_jsonschema() -> None:
    script = (
        "import json, sys; from stepwave.core.reading.document import *\n"
        "from stepwave.core.reading.schema import check_schema\n"
        "schema = json.load(open(sys.argv[1])); s = Span(1, 1, 1, 2)\n"
        "root = Mapping({'run': Scalar('x', 'x', s), 'id': Scalar('a', 'a', s)}, {'run': s, 'id': s}, s)\n"
        "assert check_schema(Document('f', '', Syntax.YAML, Sequence([root], s)), schema) == []\n"
        "print([m for m in ('jsonschema', 'referencing', 'yaml', 'rich') if m in sys.modules])"
    )
    path = str(REPOSITORY / "schemas/workflow.schema.json")
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- files that are wrong ----------------------------------------------------------------------------


def step(entry: str) -> str:
    return f"steps:\n- id: a\n  {entry}\n"


@pytest.mark.parametrize(
    ("text", "code", "message", "place", "help"),
    [
        (
            step("timeout: [30]"),
            "wrong-type",
            "`timeout` must be a number or a duration such as `30s`, not a list",
            (3, 12),
            None,
        ),
        (
            step('timeout: "300"'),
            "ambiguous-unit",
            "`timeout` is a quoted number, which has no unit: `300`",
            (3, 12),
            "write `300ms` or `300s`",
        ),
        (
            step("config: {timeout: soon}"),
            "bad-duration",
            "`timeout` is not a duration: `soon`",
            (3, 21),
            "write a number and a unit, the largest first: `300ms`, `30s`, `5m`, `1h30m`, `2d`",
        ),
        (step("timeout: -1"), "out-of-range", "`timeout` must not be negative: `-1`", (3, 12), None),
        (step("timeout: 1e99"), "out-of-range", "`timeout` is longer than a year: `1e99`", (3, 12), None),
        (
            step("retry: {backoff: linaer}"),
            "bad-value",
            "`backoff` must be `fixed`, `linear` or `exponential`, not `linaer`",
            (3, 20),
            "did you mean `linear`?",
        ),
        (
            step("on_failure: {action: stop}"),
            "wrong-type",
            "`on_failure` must be `abort`, `skip_dependents` or `continue`, not a mapping",
            (3, 15),
            None,
        ),
        (
            step("continueOnError: yes"),
            "wrong-type",
            "`continueOnError` must be true, false or a reference such as `{{variables.x}}`, not a string",
            (3, 20),
            "write true, without quotes",
        ),
        (
            step("retries: '3'"),
            "wrong-type",
            "`retries` must be a whole number or a reference such as `{{variables.x}}`, not a string",
            (3, 12),
            "write 3, without quotes",
        ),
        (
            step("parallel: {maxConcurrency: 0}"),
            "out-of-range",
            "`maxConcurrency` must be at least 1, not `0`",
            (3, 30),
            None,
        ),
        (
            step("args: [a, [b]]"),
            "wrong-type",
            "item 2 of `args` must be a string, a number, true or false, not a list",
            (3, 13),
            None,
        ),
        (step("command: []"), "too-few-items", "`command` must not be empty", (3, 12), None),
        (step("command: ''"), "too-short", "`command` must not be empty", (3, 12), None),
        (step('command: "a\\0b"'), "bad-text", "`command` must not hold a NUL character", (3, 12), None),
        (step("env: {A=B: 1}"), "bad-name", "`A=B` cannot be the name of an environment variable", (3, 9), None),
        (step("stdin: {fil: x}"), "missing-key", "`stdin` needs `file`", (3, 3), "did you mean `file` by `fil`?"),
        (step("limits: {memory: 2XB}"), "bad-size", "`memory` is not a size: `2XB`", (3, 20), "write `512MB` or `2GB`"),
        (
            step("on_fail: retry"),
            "bad-value",
            "`on_fail` must be `abort`, `skip`, `continue` or `retry:N`, not `retry`",
            (3, 12),
            None,
        ),
        (
            step("dependsOn: [1]"),
            "wrong-type",
            "item 1 of `dependsOn` must be a string, not an integer",
            (3, 15),
            'put it in quotes: "1"',
        ),
        (
            step("allowedExitCodes: [300]"),
            "out-of-range",
            "item 1 of `allowedExitCodes` must be at most 255, not `300`",
            (3, 22),
            None,
        ),
        (
            "steps: [{id: a b, run: x}]",
            "bad-id",
            "`id` may hold only letters, digits, `_`, `.` and `-`, not `a b`",
            (1, 14),
            "write `a-b`",
        ),
        (
            'steps: [{id: "a\\n", run: x}]',
            "bad-id",
            "`id` may hold only letters, digits, `_`, `.` and `-`, not `a`",
            (1, 14),
            "write `a`",
        ),
        (
            "steps: {a b: {run: x}}",
            "bad-id",
            "step id `a b` may hold only letters, digits, `_`, `.` and `-`",
            (1, 9),
            "write `a-b`",
        ),
        (
            f"steps: [{{id: {'a' * 201}, run: x}}]",
            "bad-id",
            "`id` may have at most 200 characters, not 201",
            (1, 14),
            None,
        ),
        ("steps:\n- run: x\n  timeout: 3", "missing-key", "item 1 of `steps` needs `id`", (2, 3), None),
        ("steps:\n- just text", "wrong-type", "item 1 of `steps` must be a mapping, not a string", (2, 3), None),
        ("steps: []", "too-few-items", "`steps` must not be empty", (1, 8), None),
        (
            "name: x\nstep: [{id: a, run: x}]",
            "missing-key",
            "the file needs `steps`",
            (1, 1),
            "did you mean `steps` by `step`?",
        ),
        ("just text", "wrong-type", "the file must be a mapping or a list, not a string", (1, 1), None),
        ("[]", "too-few-items", "the file must not be empty", (1, 1), None),
        ("- 1", "wrong-type", "item 1 of the list must be a mapping, not an integer", (1, 3), None),
    ],
)
def test_one_fault_is_told_once_in_plain_words_where_it_stands(
    text: str, code: str, message: str, place: tuple[int, int], help: str | None
) -> None:
    (found,) = findings(text)
    assert (found.code, found.message, found.help) == (code, message, help)
    assert (found.place.line, found.place.column) == place


def test_several_faults_are_told_in_the_order_of_the_file() -> None:
    text = "steps:\n- id: a\n  timeout: '3'\n- retries: -1\n  id: 7\n- {run: x}\nparallel: {scheduling: wave}\n"
    assert [(found.code, found.place.line) for found in findings(text)] == [
        ("ambiguous-unit", 3),
        ("out-of-range", 4),
        ("wrong-type", 5),
        ("missing-key", 6),
        ("bad-value", 7),
    ]


def test_what_an_alias_repeats_is_told_once() -> None:
    assert len(findings("steps:\n- &s {name: a, timeout: '3'}\n- *s\n- *s\n")) == 1


def test_the_number_of_findings_is_bounded() -> None:
    found = findings("steps:\n" + "".join(f"- {{id: s{n}, timeout: '{n}'}}\n" for n in range(60)))
    assert len(found) == MAX_SHOWN + 1
    assert (found[-1].code, found[-1].message) == ("more-errors", "10 further errors are not shown")
    found = findings("steps:\n" + "".join(f"- {{id: s{n}, timeout: '{n}'}}\n" for n in range(1100)))
    assert found[-1].message == "950 or more further errors are not shown"


def test_one_wrong_step_among_many_is_found() -> None:
    steps = "".join(f"- {{id: s{n}, run: x, timeout: {'soon' if n == 1500 else '3s'}}}\n" for n in range(2000))
    (found,) = findings("steps:\n" + steps)
    assert (found.code, found.place.line) == ("bad-duration", 1502)


def test_foreign_text_is_shown_short_and_harmless() -> None:
    value = "\\e[31m" + "x" * 100_000
    for entry in (
        f'timeout: "{value}"',
        f'retry: {{backoff: "{value}"}}',
        f'env:\n    ? "{value}="\n    : 1',
        f'limits: {{memory: "{value}"}}',
    ):
        (found,) = findings(step(entry))
        shown = found.message + (found.help or "")
        assert len(shown) < 300
        assert "\x1b" not in shown


def test_a_value_of_any_depth_is_answered() -> None:
    expression: dict[str, Any] = {"type": "not"}
    flow = {"steps": [{"id": "a", "expression": expression}]}
    for _ in range(5000):
        inner: dict[str, Any] = {"type": "not"}
        expression["conditions"] = [inner]
        expression = inner
    (found,) = check_schema(read("steps: [{id: a}]"), SCHEMA, flow)
    assert found.code == "too-deep"


@settings(max_examples=150, deadline=None)
@given(damaged_workflows())
def test_there_are_findings_exactly_when_jsonschema_has_errors(flow: Any) -> None:
    document, unread = parse(json.dumps(flow).encode(), "flow.json")
    if document is None:  # NaN is not JSON
        assert unread
        return
    found = check_schema(document, SCHEMA)
    assert bool(found) == (not PEER.is_valid(flow))
    lines = document.text.count("\n") + 1
    assert all(1 <= one.place.line <= lines for one in found)
    assert len({(one.place, one.code) for one in found}) == len(found)


def test_the_value_at_hand_need_not_be_the_document() -> None:
    (found,) = check_schema(read("steps: [{id: a}]"), SCHEMA, {"steps": [{"id": "a"}, {"id": 3}]})
    assert (found.code, found.place.line) == ("wrong-type", 1)


@pytest.mark.parametrize("text", ["1" * 10**6, "1m" * 10**6, "1d" + " " * 10**6 + "x", "1" + " " * 10**6 + "x"])
def test_no_text_is_slow_to_refuse(text: str) -> None:
    """Repetitions in the patterns are counted: without that `size` takes hours for the last of these."""
    for definition in ("duration", "size", "onFail", "signal", "flag"):
        assert not compile_acceptor(SCHEMA["definitions"][definition])(text)
