"""Variables that refer to each other, to the environment and to the workflow."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwave.core.building.build import Inputs, build
from stepwave.core.building.variables import MAX_DEPTH
from stepwave.core.model import Value
from tests.core.build_texts import built, parsed, workflow_of


def flow(variables: object, **more: object) -> dict[str, object]:
    return {"name": "deploy", "variables": variables, "steps": [{"id": "a", "run": "x"}], **more}


def variables_of(variables: object, given: dict[str, Value] | None = None, **more: object) -> dict[str, Value]:
    return dict(workflow_of(flow(variables, **more), environ={"HOME": "/h", "N": "5"}, variables=given).variables)


def told(variables: object, **more: object) -> list[tuple[str, str]]:
    return [(d.code, d.message) for d in built(flow(variables, **more))[1]]


def test_references_are_worked_out_when_the_file_is_read() -> None:
    found = variables_of(
        {
            "url": "{{variables.base}}/y",
            "base": "http://{{host}}:{{ports[0]}}",
            "host": "{{env.HOME}}",
            "ports": [80, "{{n}}"],
            "n": 5,
            "about": "{{workflow.name}} {{workflow.id}} {{version}}",
            "deep": {"list": ["{{ports}}", {"k": "{{variable.n}}", "m": "{{multiply(inputs.n, 2)}}"}], "{{n}}": None},
            "kept": r"\{{n}} ${HOME}",
            "late": "{{default(env.NOPE, 'd')}}",
        },
        version="2.0.0",
    )
    assert found["url"] == "http:///h:80/y"
    assert found["ports"] == [80, 5]
    assert found["about"] == "deploy deploy 2.0.0"
    assert found["deep"] == {"list": [[80, 5], {"k": 5, "m": 10}], "{{n}}": None}
    assert found["kept"] == "{{n}} ${HOME}"
    assert found["late"] == "d"


def test_the_environment_of_the_file_lies_over_that_of_the_caller() -> None:
    assert variables_of({"v": "{{env.N}}"}, env={"N": "6"})["v"] == "6"
    assert variables_of({"v": "{{env.N}}"})["v"] == "5"


def test_a_dollar_is_a_reference_in_two_dialects() -> None:
    said = {"a": "${env.NOPE:-d}", "b": "${a}/${NOPE}/$${a}", "c": "${env.N == '5'}"}
    assert variables_of(said, dialect="snake") == {"a": "d", "b": "d/${NOPE}/${a}", "c": True}
    assert variables_of(said) == said


def test_fields_that_are_needed_at_once_see_what_variables_mean() -> None:
    workflow = workflow_of(flow({"n": "{{multiply(limit, 2)}}", "limit": 30}, timeout="{{n}}", dialect="snake"))
    assert workflow.timeout_s == 60


def test_what_comes_from_outside_is_data() -> None:
    found = variables_of({"a": "x", "b": "{{a}}", "c": "{{steps.a.output}}"}, {"a": "{{b}}", "c": "{{env.N}}"})
    assert found == {"a": "{{b}}", "b": "{{b}}", "c": "{{env.N}}"}


def test_what_a_reference_brings_is_not_read_again() -> None:
    workflow = workflow_of(flow({"a": "{{env.X}}", "b": "{{a}}!"}), environ={"X": "{{env.Y}}"})
    assert workflow.variables == {"a": "{{env.Y}}", "b": "{{env.Y}}!"}


def test_time_and_files_are_those_of_the_reading() -> None:
    class Shelf:
        def read_text(self, path: str) -> str:
            return json.dumps({"path": path})

        def exists(self, path: str) -> bool:
            return True

        def size(self, path: str) -> int:
            return 1

    said = flow({"day": "{{date()}}", "config": "{{readJson('c.json')}}", "path": "{{config.path}}"})
    workflow, found = build(parsed(said), Inputs(now=1_700_000_000.0, readable=Shelf()))
    assert workflow is not None, found
    assert workflow.variables == {"day": "2023-11-14", "config": {"path": "c.json"}, "path": "c.json"}


@pytest.mark.parametrize(
    ("variables", "code", "message"),
    [
        ({"a": "{{a}}"}, "variable-cycle", "variables refer to each other in a circle: `a` -> `a`"),
        (
            {"x": "{{a}}", "a": ["{{variables.b}}"], "b": {"k": "{{inputs.c}}"}, "c": "{{a}}"},
            "variable-cycle",
            "variables refer to each other in a circle: `a` -> `b` -> `c` -> `a`",
        ),
        (
            {"a": "{{steps.a.output}}", "b": "{{a}}"},
            "known-too-late",
            "variable `a` is needed before anything runs, but refers to what a step will bring",
        ),
        ({"a": "{{nope}}", "b": "{{a}}"}, "unknown-variable", "`nope` has no value"),
        ({"a": "{{env.NOPE}}"}, "unknown-variable", "`env.NOPE` has no value"),
        ({"a": "{{upper(}}"}, "bad-expression", "expected a value, found `}}`"),
        ({"a": "{{divide(1, 0)}}"}, "bad-expression", "`divide`: cannot divide by zero"),
        ({"a": "{{readFile('x')}}"}, "bad-expression", "`readFile`: no file can be read here"),
    ],
)
def test_what_is_refused(variables: object, code: str, message: str) -> None:
    assert told(variables) == [(code, message)]


def test_a_fault_is_told_where_it_stands() -> None:
    text = "variables:\n  a: 1\n  b: ['{{a}}', 'x {{variables.nope}}']\nsteps: [{id: a, run: x}]\n"
    assert [(d.place.line, d.place.column) for d in built(text)[1]] == [(3, 21)]


def chain(length: int) -> dict[str, object]:
    return {"v0": 1, **{f"v{n}": f"{{{{v{n - 1}}}}}" for n in range(length, 0, -1)}}


def test_references_lead_on_ten_times_and_no_further() -> None:
    assert variables_of(chain(MAX_DEPTH))["v10"] == 1
    assert told(chain(MAX_DEPTH + 5)) == [
        ("variable-depth", "Maximum interpolation depth (10) exceeded by variable `v11`")
    ]
    assert len(told(chain(20_000))) == 1


@pytest.mark.parametrize("piece", ["{{v%d}}", ["{{v%d}}", "{{v%d}}"]])
def test_variables_cannot_grow_without_end(piece: object) -> None:
    def more(n: int) -> object:
        return piece.replace("%d", str(n)) * 20 if isinstance(piece, str) else [f"{{{{v{n}}}}}"] * 40

    bomb = {"v0": "x" * 100, **{f"v{n}": more(n - 1) for n in range(1, 10)}}
    assert {code for code, _ in told(bomb)} == {"bad-expression"}


def test_a_computed_name_waits_for_all_others() -> None:
    assert variables_of({"a": "{{variables[which]}}", "b": "{{c}}", "c": 7, "which": "b"})["a"] == 7
    assert told({"a": "{{variables[which]}}", "which": "a"}) == [("unknown-variable", "`variables.a` has no value")]


_names = st.sampled_from(["a", "b", "c", "d"])
_pieces = st.one_of(
    st.sampled_from(["x", " ", "{{", "}}", "{{env.E}}", "${a}", "{{nope}}", "{{steps.a}}", "{{workflow.id}}", "\\{{"]),
    _names.map(lambda name: f"{{{{{name}}}}}"),
    _names.map(lambda name: f"{{{{variables.{name}}}}}"),
)
_text = st.lists(_pieces, max_size=3).map("".join)
_value = _text | st.integers() | st.lists(_text, max_size=2) | st.dictionaries(_names, _text, max_size=2)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(_names, _value, max_size=4), st.dictionaries(_names, _text, max_size=2), st.booleans())
def test_whatever_variables_say_there_is_an_answer(said: object, given: dict[str, Value], snake: bool) -> None:
    workflow, found = built(flow(said, dialect="snake" if snake else "camel"), environ={"E": "{{a}}"}, variables=given)
    assert all(d.place.line >= 1 for d in found)
    if workflow is not None:
        assert {name: workflow.variables[name] for name in given} == given


def test_files_that_belong_together_share_their_variables() -> None:
    inner = parsed(
        "variables: {port: '${base}1', deep: '{{base}}/{{port}}'}\nsteps: [{id: a, depends_on: [], run: x}]\n"
    )
    outer = parsed("include: lib.yaml\nvariables: {base: '80', url: 'h:{{port}}'}\nsteps: [{id: b, run: x}]\n")
    workflow, found = build(outer, Inputs(documents={"lib.yaml": inner}))
    assert workflow is not None, found
    assert workflow.variables == {"base": "80", "port": "801", "deep": "80/801", "url": "h:801"}
