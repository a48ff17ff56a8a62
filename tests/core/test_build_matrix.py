"""`matrix` and `forEach`: one step in the file, many in the run."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwave.core.building.labels import item_labels
from stepwave.core.model import Step, StepType
from stepwave.core.running.fanout import parts
from tests.core.build_texts import built, codes, told, workflow_of

BUILD = {"id": "build", "run": "make {{matrix.os}}"}


def steps_of(text: Any, **more: object) -> list[Step]:
    return list(workflow_of(text, **more).steps)


def ids(text: Any) -> list[str]:
    return [step.id for step in steps_of(text)]


def combinations(matrix: dict[str, object]) -> list[object]:
    return [step.bindings["matrix"] for step in steps_of({"steps": [{"id": "b", "run": "x", "matrix": matrix}]})]


# --- matrix ----------------------------------------------------------------------------------------------------------


def test_every_combination_is_a_step() -> None:
    steps = steps_of({"steps": [{**BUILD, "matrix": {"os": ["linux", "mac"], "py": [3, 4]}}]})
    assert [(s.id, s.family, s.bindings["matrix"]) for s in steps] == [
        ("build[os=linux,py=3]", "build", {"os": "linux", "py": 3}),
        ("build[os=linux,py=4]", "build", {"os": "linux", "py": 4}),
        ("build[os=mac,py=3]", "build", {"os": "mac", "py": 3}),
        ("build[os=mac,py=4]", "build", {"os": "mac", "py": 4}),
    ]
    assert {s.script for s in steps} == {"make {{matrix.os}}"}


def test_a_number_stays_as_it_was_written() -> None:
    (step,) = steps_of("steps:\n- {id: b, run: 'x {{matrix.py}}', matrix: {py: [3.10]}}\n")
    assert (step.id, step.bindings["matrix"]) == ("b[py=3.10]", {"py": "3.10"})


def test_odd_values_are_told_apart_by_their_number() -> None:
    assert ids({"steps": [{"id": "b", "run": "x", "matrix": {"a": ["x y", "z"]}}]}) == ["b[0]", "b[1]"]
    assert ids({"steps": [{"id": "b", "run": "x", "matrix": {"a": [1, "1"]}}]}) == ["b[0]", "b[1]"]
    assert ids({"steps": [{"id": "b", "run": "x", "matrix": {"a": ["x" * 70]}}]}) == ["b[0]"]


def test_include_and_exclude_as_in_github_actions() -> None:
    """The example of its documentation: extended, added to all, overwritten, and alone."""
    matrix = {
        "fruit": ["apple", "pear"],
        "animal": ["cat", "dog"],
        "include": [
            {"color": "green"},
            {"color": "pink", "animal": "cat"},
            {"fruit": "apple", "shape": "circle"},
            {"fruit": "banana"},
            {"fruit": "banana", "animal": "cat"},
        ],
    }
    assert combinations(matrix) == [
        {"fruit": "apple", "animal": "cat", "color": "pink", "shape": "circle"},
        {"fruit": "apple", "animal": "dog", "color": "green", "shape": "circle"},
        {"fruit": "pear", "animal": "cat", "color": "pink"},
        {"fruit": "pear", "animal": "dog", "color": "green"},
        {"fruit": "banana"},
        {"fruit": "banana", "animal": "cat"},
    ]
    assert combinations({"a": [1, 2], "b": [1, 2], "exclude": [{"a": 1, "b": 2}, {"a": 2}]}) == [{"a": 1, "b": 1}]
    assert combinations({"a": [1, True], "exclude": [{"a": 1}]}) == [{"a": True}]
    assert combinations({"include": [{"a": 1}, {"a": 2}]}) == [{"a": 1}, {"a": 2}]
    assert combinations({"a": [1, 2], "exclude": [{"a": 1}], "include": [{"a": 1, "b": 5}]}) == [
        {"a": 2},
        {"a": 1, "b": 5},
    ]


values = st.integers(0, 2) | st.sampled_from(["x", "y", True])
axes = st.dictionaries(st.sampled_from("abc"), st.lists(values, min_size=1, max_size=3, unique_by=repr), min_size=1)
entries = st.lists(st.dictionaries(st.sampled_from("abcd"), values, min_size=1), max_size=3)


def by_hand(named: dict[str, list[Any]], include: list[dict[str, Any]], exclude: list[dict[str, Any]]) -> list[Any]:
    """GitHub's rules, word by word."""

    def same(one: Any, other: Any) -> bool:
        return type(one) is type(other) and one == other

    made: list[dict[str, Any]] = [{}]
    for name, choices in named.items():
        made = [{**one, name: choice} for one in made for choice in choices]
    made = [one for one in made if not any(all(same(one[k], v) for k, v in gone.items()) for gone in exclude)]
    originals = [dict(one) for one in made]
    alone = []
    for entry in include:
        fits = [n for n, one in enumerate(originals) if all(same(one[k], v) for k, v in entry.items() if k in named)]
        for n in fits:
            made[n].update(entry)
        if not fits:
            alone.append(dict(entry))
    return made + alone


@settings(max_examples=150, deadline=None)
@given(axes, entries, entries)
def test_combinations_are_those_of_the_rules(
    named: dict[str, list[Any]], include: list[dict[str, Any]], exclude: list[dict[str, Any]]
) -> None:
    gone = [known for one in exclude if (known := {k: v for k, v in one.items() if k in named})]
    expected = by_hand(named, include, gone)
    step = {"id": "b", "run": "x", "matrix": {**named, "include": include, "exclude": gone}}
    workflow, found = built({"steps": [step]})
    if not expected:
        assert [d.code for d in found if d.code != "excludes-nothing"] == ["no-combinations"]
        return
    assert workflow is not None
    assert [s.bindings["matrix"] for s in workflow.steps] == expected
    assert len({s.id for s in workflow.steps}) == len(expected)


def test_values_may_be_a_list_that_is_known() -> None:
    text = {
        "variables": {"systems": ["linux", "mac"], "one": "x"},
        "steps": [{**BUILD, "matrix": {"os": "{{variables.systems}}", "v": ["{{variables.one}}"]}}],
    }
    assert ids(text) == ["build[os=linux,v=x]", "build[os=mac,v=x]"]


def test_what_must_be_known_now_is_worked_out_for_each() -> None:
    step = {
        "id": "b", "run": "x", "name": "On {{matrix.os}}", "timeout": "{{matrix.limit}}",
        "priority": "{{matrix.p}}", "matrix": {"os": ["linux"], "limit": ["5s", "7s"], "p": [3]},
    }  # fmt: skip
    first, second = steps_of({"steps": [step]})
    assert (first.name, first.timeout_s, second.timeout_s, first.priority) == ("On linux", 5.0, 7.0, 3)


def test_to_need_one_is_to_need_all() -> None:
    text = {
        "steps": [
            {**BUILD, "matrix": {"os": ["a", "b"]}, "needs": "first"},
            {"id": "first", "type": "noop"},
            {"id": "all", "run": "echo {{steps.build.output}}", "needs": ["build"]},
            {"id": "only", "run": "x", "needs": ["build[os=b]"]},
        ]
    }
    assert {s.id: s.needs for s in steps_of(text)} == {
        "build[os=a]": ("first",),
        "build[os=b]": ("first",),
        "first": (),
        "all": ("build[os=a]", "build[os=b]"),
        "only": ("build[os=b]",),
    }


def test_who_reads_all_must_wait_for_all() -> None:
    steps = [
        {**BUILD, "matrix": {"os": ["a", "b"]}},
        {"id": "r", "run": "echo {{steps.build.output}}", "needs": ["build[os=a]"]},
    ]
    assert codes({"steps": steps}) == ["not-upstream"]


def test_a_family_by_its_name() -> None:
    steps = [
        {"name": "Build all", "run": "x", "matrix": {"os": ["a"]}},
        {"id": "z", "type": "noop", "needs": "Build all"},
    ]
    assert {s.id: s.needs for s in steps_of({"steps": steps})} == {"Build-all[os=a]": (), "z": ("Build-all[os=a]",)}


@pytest.mark.parametrize("said", [{"maxConcurrency": 2}, {"max_concurrency": 2}, {"parallel": {"maxConcurrency": 2}}])
def test_the_width_of_a_fan_out_is_a_pool(said: dict[str, object]) -> None:
    workflow = workflow_of({"steps": [{**BUILD, **said, "matrix": {"os": ["a", "b", "c"]}}]})
    assert workflow.pools == {"fan-out:build": 2}
    assert {(s.resources, s.max_concurrency) for s in workflow.steps} == {((("fan-out:build", 1),), None)}


def test_a_condition_may_lead_to_all_of_a_matrix() -> None:
    text = {
        "steps": [
            {"id": "c", "type": "condition", "expression": "true", "onTrue": ["build"]},
            {**BUILD, "matrix": {"os": ["a", "b"]}},
        ]
    }
    condition, *rest = steps_of(text)
    assert condition.branch is not None
    assert condition.branch.on_true == ("build[os=a]", "build[os=b]")
    assert [s.needs for s in rest] == [("c",), ("c",)]


def test_a_fault_is_told_once_however_many_steps_have_it() -> None:
    step = {"id": "b", "type": "script", "matrix": {"os": [str(n) for n in range(500)]}}
    assert codes({"steps": [step]}) == ["missing-key"]
    step = {"id": "b", "run": "{{steps.nope.output}} {{matrix.os}}", "matrix": {"os": ["a", "b", "c"]}}
    assert codes({"steps": [step]}) == ["unknown-step"]


MATRIX = "steps:\n- {id: b, run: x, matrix: %s}\n"  # the value begins in column 27


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        (MATRIX % f"{{a: {[*range(101)]}, b: {[*range(100)]}}}", "too-many-combinations", 2, 27),
        (MATRIX % f"{{a: {[*range(10_001)]}}}", "too-many-combinations", 2, 27),
        (MATRIX % "{}", "no-combinations", 2, 19),
        (MATRIX % "{a: []}", "no-combinations", 2, 19),
        (MATRIX % "{a: [1], exclude: [{a: 1}]}", "no-combinations", 2, 19),
        (MATRIX % "{a: 1}", "not-a-list", 2, 31),
        (MATRIX % "{a: null}", "not-a-list", 2, 28),
        (MATRIX % "{a: [[1]]}", "wrong-type", 2, 31),
        (MATRIX % "{a: [null]}", "wrong-type", 2, 31),
        (MATRIX % "{'a b': [1]}", "bad-name", 2, 28),
        (MATRIX % "[1]", "wrong-type", 2, 27),
        (MATRIX % "{a: [1], include: {b: 1}}", "wrong-type", 2, 45),
        (MATRIX % "{a: [1], include: [{b: [1]}]}", "wrong-type", 2, 50),
        (MATRIX % "{ab: [1], exclude: [{abc: 1}]}", "unknown-key", 2, 48),
        (MATRIX % "{a: '{{steps.x.output}}'}", "known-too-late", 2, 31),
        (MATRIX % "{a: '{{variables.nope}}'}", "unknown-variable", 2, 34),
        (MATRIX % "{a: [1]}, forEach: [1]", "conflicting-keys", 2, 37),
        ("matrix: {os: [a]}\nsteps: [{id: a, run: x}]\n", "misplaced-key", 1, 1),
        ("steps:\n- {id: a, run: x, needs: 'b[os=z]'}\n- {id: b, run: x, matrix: {os: [y]}}\n", "unknown-step", 2, 26),
        ("steps:\n- {id: b, run: x, matrix: {os: [y]}, needs: b}\n", "self-dependency", 2, 45),
        ("steps:\n- {id: b, run: x, matrix: {os: [y]}}\n- {id: b, run: x}\n", "duplicate-id", 3, 8),
    ],
)
def test_what_is_wrong_with_a_matrix(text: str, code: str, line: int, column: int) -> None:
    assert told(text) == [("error", code, line, column)]


def test_an_enormous_matrix_is_refused_before_it_is_made() -> None:
    axes = {f"a{n}": [*range(1000)] for n in range(50)}
    _, found = built({"steps": [{"id": "b", "run": "x", "matrix": axes}]})
    (one,) = found
    assert one.message == "the matrix of step `b` would become more than 10^15 steps, and 10,000 are allowed"
    assert one.help


def test_many_large_matrices_are_too_many_together() -> None:
    steps = [
        {"id": f"b{n}", "type": "noop", "matrix": {"a": [*range(100)], "b": [*range(100)]}, "x-n": n} for n in range(14)
    ]
    assert codes({"steps": steps}) == ["too-many-combinations"]


def test_an_exclude_that_takes_nothing_away_is_told() -> None:
    found = built(MATRIX % "{os: [linux, mac], n: [1], exclude: [{os: lnux}, {n: '1'}, {os: mac, n: 1}]}")[1]
    assert [(d.code, d.message, d.help, d.place.column) for d in found] == [
        (
            "excludes-nothing",
            "no combination has `lnux` for `os`: this entry takes nothing away",
            "did you mean `linux`?",
            64,
        ),
        (
            "excludes-nothing",
            "no combination has `1` for `n`: this entry takes nothing away",
            "a number and a text are not the same",
            76,
        ),
    ]
    found = built(MATRIX % "{os: [linux], exlude: [{os: mac}]}")[1]
    assert [(d.code, d.help) for d in found] == [("wrong-type", "did you mean `exclude`?")]


def test_ten_thousand_are_made() -> None:
    steps = steps_of({"steps": [{"id": "b", "run": "x", "matrix": {"a": [*range(100)], "b": [*range(100)]}}]})
    assert (len(steps), steps[-1].id) == (10_000, "b[a=99,b=99]")


# --- forEach ---------------------------------------------------------------------------------------------------------


def each(items: object, **more: object) -> dict[str, object]:
    return {"id": "e", "run": "echo {{item}} {{index}}", "forEach": items, **more}


@pytest.mark.parametrize("key", ["forEach", "for_each"])
def test_every_item_is_a_step(key: str) -> None:
    steps = steps_of({"steps": [{"id": "e", "run": "echo {{item}}", key: ["a", 2]}]})
    assert [(s.id, s.family, s.bindings) for s in steps] == [
        ("e[a]", "e", {"item": "a", "index": 0}),
        ("e[2]", "e", {"item": 2, "index": 1}),
    ]


def test_items_that_are_no_words_are_numbered() -> None:
    steps = steps_of({"steps": [{"id": "e", "run": "echo {{item.name}}", "forEach": [{"name": "x"}, {"name": "y"}]}]})
    assert [(s.id, s.bindings["item"]) for s in steps] == [("e[0]", {"name": "x"}), ("e[1]", {"name": "y"})]
    assert ids({"steps": [each(["a", "a"])]}) == ["e[0]", "e[1]"]
    assert ids({"steps": [each(["a", None])]}) == ["e[0]", "e[1]"]


@given(st.lists(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5), max_size=9))
def test_labels_are_as_many_as_the_items_and_never_the_same(items: list[Any]) -> None:
    labels = item_labels(items)
    assert len(set(labels)) == len(labels) == len(items)
    assert not any(set(label) & set("[],= \n\"'") for label in labels)


def test_a_list_that_is_known() -> None:
    hosts = {"variables": {"hosts": ["a", "b"], "z": "zz"}}
    assert ids({**hosts, "steps": [each("{{variables.hosts}}")]}) == ["e[a]", "e[b]"]
    assert ids({**hosts, "dialect": "snake", "steps": [each("${hosts}")]}) == ["e[a]", "e[b]"]
    assert ids({**hosts, "steps": [each(["{{variables.z}}"])]}) == ["e[zz]"]
    (step,) = steps_of({**hosts, "steps": [{"id": "e", "type": "noop", "forEach": [{"u": "{{variables.z}}/x"}]}]})
    assert step.bindings["item"] == {"u": "zz/x"}
    text = {"steps": [{"id": "e", "run": "echo {{item}}", "forEach": "{{hosts}}"}]}
    assert [s.id for s in steps_of(text, variables={"hosts": ["c"]})] == ["e[c]"]


def test_a_list_that_a_step_will_bring() -> None:
    text = {"steps": [each("{{steps.find.output}}", maxConcurrency=2), {"id": "find", "run": "x"}]}
    workflow = workflow_of(text)
    step = workflow.steps[0]
    assert (step.id, step.type, step.for_each, step.needs, step.family, dict(step.bindings)) == (
        "e", StepType.FAN_OUT, "{{steps.find.output}}", ("find",), "", {},
    )  # fmt: skip
    assert step.resources == (("fan-out:e", 1),)
    assert workflow.pools == {"fan-out:e": 2}
    assert workflow_of({"steps": [each("{{find.output.files}}"), {"id": "find", "run": "x"}]}).steps[0].needs == (
        "find",
    )


@pytest.mark.parametrize(
    ("work", "kind"),
    [({"type": "noop"}, StepType.NOOP), ({"agent": "x"}, StepType.AGENT), ({"run": "x"}, StepType.SCRIPT)],
)
def test_what_an_item_becomes_is_what_the_step_would_have_been(work: dict[str, object], kind: StepType) -> None:
    workflow, _ = built({"steps": [{"id": "e", "forEach": "{{steps.f.output}}", **work}, {"id": "f", "run": "x"}]})
    assert workflow is not None
    assert [(s.id, s.type, s.family, s.bindings["item"]) for s in parts(workflow.steps[0], ["a", "b"])] == [
        ("e[a]", kind, "e", "a"),
        ("e[b]", kind, "e", "b"),
    ]


def test_an_empty_list_leaves_a_step_that_does_nothing() -> None:
    workflow, found = built({"steps": [each([], name="None"), {"id": "z", "type": "noop", "needs": "e"}]})
    assert workflow is not None
    assert [(d.severity.value, d.code) for d in found] == [("warning", "empty-list")]
    assert [(s.id, s.type, s.name, s.needs) for s in workflow.steps] == [
        ("e", StepType.NOOP, "None", ()),
        ("z", StepType.NOOP, "z", ("e",)),
    ]


EACH = "variables: {n: 5, m: {a: 1}}\nsteps:\n- {id: e, run: x, forEach: %s}\n"  # the value begins in column 28


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        (EACH % "5", "not-a-list", 3, 28),
        (EACH % "abc", "not-a-list", 3, 28),
        (EACH % "{a: 1}", "not-a-list", 3, 28),
        (EACH % "'{{variables.n}}'", "not-a-list", 3, 28),
        (EACH % "'{{variables.m}}'", "not-a-list", 3, 28),
        (EACH % "'x {{variables.n}}'", "not-a-list", 3, 28),
        (EACH % "'{{variables.nope}}'", "unknown-variable", 3, 31),
        (EACH % "'{{steps.nope.output}}'", "unknown-step", 3, 37),
        (EACH % "'{{steps.e.output}}'", "self-dependency", 3, 28),
        (EACH % "'x {{steps.e.output}}'", "known-too-late", 3, 28),
        (EACH % "['{{steps.e.output}}']", "known-too-late", 3, 29),
        (EACH % f"{[*range(10_001)]}", "too-many-combinations", 3, 28),
        ("steps:\n- {id: e, type: condition, forEach: '{{f.output}}'}\n- {id: f, run: x}\n", "conflicting-keys", 2, 28),
    ],
)
def test_what_is_wrong_with_a_list(text: str, code: str, line: int, column: int) -> None:
    assert ("error", code, line, column) in told(text)


@settings(max_examples=40, deadline=None)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-2, 2)
        | st.sampled_from(["", "a", "{{x}}", "{{steps.a.output}}", "${x}"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["a", "include", "exclude", "_x"]), inner, max_size=3)
        ),
        max_leaves=6,
    ),
    st.sampled_from(["matrix", "forEach"]),
)
def test_nothing_breaks_it(value: object, key: str) -> None:
    built({"steps": [{"id": "a", "run": "x"}, {"id": "b", "run": "{{item}}", key: value}]})
