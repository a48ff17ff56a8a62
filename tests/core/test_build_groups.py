"""`step_groups`, condition steps, and what a workstream says of the others: pools and needs come of them."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwave.core.model import Rule, Stage, StepType, Workflow
from tests.core.build_texts import built, codes, told, workflow_of

ABC = [{"id": id, "type": "noop"} for id in "abc"]


def grouped(*groups: dict[str, object], steps: Any = ABC) -> Workflow:
    return workflow_of({"step_groups": [*groups], "steps": steps})


# --- groups ----------------------------------------------------------------------------------------------------------


def test_a_group_is_a_pool_that_its_steps_take_one_of() -> None:
    workflow = grouped({"id": "g", "steps": ["a", "b"], "max_workers": 1})
    assert workflow.pools == {"group:g": 1}
    assert [s.resources for s in workflow.steps] == [(("group:g", 1),), (("group:g", 1),), ()]
    assert [s.needs for s in workflow.steps] == [(), (), ()]


@pytest.mark.parametrize("said", [{}, {"max_workers": "auto"}, {"execute": "parallel"}])
def test_without_a_limit_all_of_it_may_run(said: dict[str, object]) -> None:
    assert grouped({"id": "g", "steps": ["a", "c"], **said}).pools == {"group:g": 2}


@pytest.mark.parametrize("key", ["max_workers", "maxWorkers", "max_concurrency", "maxConcurrency", "max_parallel"])
def test_the_limit_has_many_names(key: str) -> None:
    assert grouped({"id": "g", "steps": ["a", "c"], key: 1}).pools == {"group:g": 1}
    assert workflow_of({"stepGroups": [{"id": "g", "steps": ["a"], key: 3}], "steps": ABC}).pools == {"group:g": 3}


def test_a_sequential_group_is_a_chain_in_its_own_order() -> None:
    workflow = grouped({"id": "g", "steps": ["c", "a", "b"], "execute": "sequential"})
    assert {s.id: s.needs for s in workflow.steps} == {"a": ("c",), "b": ("a",), "c": ()}


def test_membership_may_be_said_by_the_step() -> None:
    steps = [{"id": "a", "type": "noop", "group": "g"}, {"id": "b", "type": "noop", "group": "g"}]
    workflow = grouped({"id": "g", "max_workers": 1}, steps=steps)
    assert [s.resources for s in workflow.steps] == [(("group:g", 1),)] * 2
    both = grouped({"id": "g", "steps": ["b"], "execute": "sequential"}, steps=steps)
    assert {s.id: s.needs for s in both.steps} == {"a": ("b",), "b": ()}


def test_a_group_may_hold_all_of_a_matrix() -> None:
    steps = [{"id": "m", "run": "x", "matrix": {"n": [1, 2]}}, *ABC]
    workflow = grouped({"id": "g", "steps": ["a", "m"], "execute": "sequential"}, steps=steps)
    assert {s.id: s.needs for s in workflow.steps if s.needs} == {"m[n=1]": ("a",), "m[n=2]": ("m[n=1]",)}
    assert workflow.pools == {"group:g": 3}


def test_groups_of_workstreams_are_their_own() -> None:
    streams = [
        {"id": id, "files_scope": [], "step_groups": [{"id": "g", "steps": ["a"]}], "steps": ABC} for id in ("w", "v")
    ]
    workflow = workflow_of(streams)
    assert workflow.pools == {"group:w.g": 1, "group:v.g": 1}
    assert {s.id: s.resources for s in workflow.steps if s.resources} == {
        "w.a": (("group:w.g", 1),),
        "v.a": (("group:v.g", 1),),
    }


GROUPS = "step_groups:\n- {id: g, steps: [a]%s}\n- {id: h, steps: [b]%s}\nsteps: [{id: a, run: x}, {id: b, run: x%s}]\n"


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ("step_groups:\n- {id: g, steps: [aa]}\nsteps: [{id: a, run: x}]\n", "unknown-step", 2, 19),
        (GROUPS.replace("[b]", "[a]") % ("", "", ""), "two-groups", 3, 19),
        (GROUPS.replace("h,", "g,") % ("", "", ""), "duplicate-id", 3, 8),
        (GROUPS % ("", "", ", group: g"), "two-groups", 4, 49),
        (GROUPS % ("", "", ", group: i"), "unknown-group", 4, 49),
        (GROUPS % (", execute: always", "", ""), "bad-value", 2, 32),
        (GROUPS % (", max_workers: 0", "", ""), "out-of-range", 2, 36),
        ("step_groups: [{id: g, steps: []}]\nsteps: [{id: a, run: x}]\n", "empty-group", 1, 20),
        ("step_groups: [{steps: [a]}]\nsteps: [{id: a, run: x}]\n", "missing-key", 1, 16),
        ("step_groups: {g: [a]}\nsteps: [{id: a, run: x}]\n", "wrong-type", 1, 14),
        ("step_groups: [g]\nsteps: [{id: a, run: x}]\n", "wrong-type", 1, 15),
        ("steps: [{id: a, run: x, group: g}]\n", "unknown-group", 1, 32),
        (
            "step_groups: [{id: g, steps: [a, b], execute: sequential}]\n"
            "steps: [{id: a, run: x, needs: b}, {id: b, run: x}]\n",
            "cycle",
            1,
            20,
        ),
    ],
)
def test_what_is_wrong_with_groups(text: str, code: str, line: int, column: int) -> None:
    assert told(text) == [("error", code, line, column)]


def test_a_name_in_a_group_twice() -> None:
    text = "step_groups: [{id: g, steps: [a, a]}]\nsteps: [{id: a, run: x}]\n"
    assert told(text) == [("warning", "duplicate-need", 1, 34)]


@settings(max_examples=40, deadline=None)
@given(st.permutations("abcdef"), st.integers(0, 6))
def test_a_sequential_group_never_overlaps(order: list[str], size: int) -> None:
    steps = [{"id": id, "type": "noop"} for id in "abcdef"]
    if not size:
        return
    workflow = grouped({"id": "g", "steps": order[:size], "execute": "sequential"}, steps=steps)
    needs = {s.id: s.needs for s in workflow.steps}
    assert [needs[id] for id in order[:size]] == [(), *((id,) for id in order[: size - 1])]


# --- conditions ------------------------------------------------------------------------------------------------------


def condition(**more: object) -> dict[str, object]:
    return {"id": "q", "type": "condition", "expression": "env.CI == '1'", **more}


def test_a_condition_has_a_rule_and_steps_that_wait_for_it() -> None:
    workflow = workflow_of({"steps": [condition(onTrue=["a"], onFalse="b"), *ABC[:2]]}, environ={"CI": "1"})
    step, a, b = workflow.steps
    assert step.type is StepType.CONDITION
    assert step.branch is not None
    assert step.branch == (Rule("expression", "env.CI == '1'"), ("a",), ("b",), False)
    assert (a.needs, b.needs) == (("q",), ("q",))


def test_its_keys_may_stand_under_config() -> None:
    config = {
        "expression": {"type": "equals", "left": "{{variables.x}}", "right": 1},
        "onTrue": ["a"],
        "continueOnError": True,
    }
    text = {"variables": {"x": 1}, "steps": [{"id": "q", "type": "condition", "config": config}, *ABC]}
    branch = workflow_of(text).steps[0].branch
    assert branch == (Rule("equals", "{{variables.x}}", 1), ("a",), (), True)


@pytest.mark.parametrize(
    ("around", "own", "lenient"),
    [
        ({}, {}, False),
        ({}, {"continueOnError": True}, True),
        ({}, {"config": {"continueOnError": True}}, True),
        ({}, {"config": {"continue_on_error": True}}, True),
        ({"continueOnError": True}, {}, True),
        ({"continueOnError": True}, {"continueOnError": False}, False),
    ],
)
def test_when_an_error_is_false(around: dict[str, object], own: dict[str, object], lenient: bool) -> None:
    branch = workflow_of({**around, "steps": [condition(onTrue="a", **own), *ABC]}).steps[0].branch
    assert branch is not None
    assert branch.lenient is lenient


def test_a_step_may_be_named_by_several_conditions() -> None:
    steps = [condition(onTrue="a"), condition(id="d", onFalse="a"), *ABC]
    assert workflow_of({"steps": steps}).steps[2].needs == ("q", "d")


def test_conditions_set_variables_that_steps_may_read() -> None:
    reads = "echo {{condition_q_result}} {{variables.condition_q_triggered_steps}}"
    steps = [condition(onTrue="a"), {"id": "a", "run": reads}]
    assert codes({"steps": steps}) == []
    assert codes({"steps": [{"id": "a", "run": reads}]}) == ["unknown-variable", "unknown-variable"]


def test_a_condition_under_finally_leads_to_steps_there() -> None:
    text = {"steps": ABC, "finally": [condition(onTrue="z"), {"id": "z", "type": "noop"}]}
    last = workflow_of(text).steps[-1]
    assert (last.id, last.needs, last.stage) == ("z", ("q",), Stage.FINALLY)


CONDITION = "steps:\n- {id: c, type: condition, expression: 'true'%s}\n- {id: a, run: x}\n"  # 47


@pytest.mark.parametrize(
    ("text", "severity", "code", "line", "column"),
    [
        (CONDITION % ", onTrue: aa", "error", "unknown-branch-target", 2, 56),
        (CONDITION % ", onTrue: c", "error", "self-dependency", 2, 56),
        (CONDITION % ", onTrue: a, onFalse: a", "error", "both-branches", 2, 68),
        (CONDITION % "", "warning", "no-branches", 2, 8),
        (CONDITION % ", onTrue: a, run: x", "warning", "ignored-key", 2, 59),
        ("steps:\n- {id: c, type: condition, onTrue: a}\n- {id: a, run: x}\n", "error", "missing-key", 2, 8),
        ("steps:\n- {id: a, run: x, config: {continueOnError: true}}\n", "warning", "ignored-key", 2, 28),
        (
            "steps:\n- {id: c, expression: 'true', onTrue: a, needs: a}\n- {id: a, run: x}\n",
            "error",
            "cycle",
            2,
            39,
        ),
    ],
)
def test_what_is_wrong_with_a_condition(text: str, severity: str, code: str, line: int, column: int) -> None:
    assert (severity, code, line, column) in told(text)
    assert len(told(text)) == 1


# --- workstreams -----------------------------------------------------------------------------------------------------


def stream(id: str, **more: object) -> dict[str, object]:
    return {"id": id, "files_scope": [], "steps": [{"id": "s", "type": "noop"}, {"id": "t", "type": "noop"}], **more}


def test_a_workstream_that_wants_to_be_alone() -> None:
    workflow = workflow_of([stream("w", parallel_ok=False), stream("v")])
    assert {s.id: s.exclusive for s in workflow.steps} == {"w.s": True, "w.t": True, "v.s": False, "v.t": False}


def test_workstreams_of_one_conflict_group_never_overlap() -> None:
    own = {"id": "s", "type": "noop", "conflict_group": "db"}
    workflow = workflow_of([stream("w", conflict_group="db"), stream("v", conflict_group="db", steps=[own])])
    assert workflow.pools == {"conflict:db": 1}
    assert {s.resources for s in workflow.steps} == {(("conflict:db", 1),)}


def test_a_single_workstream_conflicts_with_nobody() -> None:
    workflow = workflow_of(stream("w", conflict_group="db", parallel_ok=False))
    assert (workflow.pools, {s.exclusive for s in workflow.steps}) == ({}, {False})


def test_two_workstreams_of_one_name() -> None:
    workflow, found = built([stream("w"), stream("w")])
    assert workflow is None
    assert [(d.code, d.message) for d in found] == [
        ("duplicate-id", "Duplicate bundle id 'w' in ci.json and ci.json"),
    ]


def test_workstreams_share_their_variables_and_must_agree_on_them() -> None:
    one, other = stream("w", variables={"x": 1}), stream("v", variables={"y": 2})
    assert workflow_of([one, other]).variables == {"x": 1, "y": 2}
    assert codes([one, stream("v", variables={"x": 2})]) == ["conflicting-include"]
    assert workflow_of([one, stream("v", variables={"x": 2})], variables={"x": 3}).variables == {"x": 3}


def test_references_find_the_step_of_their_own_workstream_first() -> None:
    reads = {"id": "t", "run": "echo {{steps.s.output}} {{steps.v.s.output}}", "needs": ["s"]}
    streams = [stream("v"), stream("w", depends_on=["v"], steps=[{"id": "s", "type": "noop"}, reads])]
    workflow = workflow_of(streams)
    assert [(s.id, s.scope) for s in workflow.steps][2:] == [("w.s", "w."), ("w.t", "w.")]


# --- whatever may be thrown at it ------------------------------------------------------------------------------------

anything = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a", "s", "{{x}}", "x.yaml", "sequential"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "steps", "depends_on", "file", "as", "type", "_n"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["phases", "step_groups", "finally", "include", "matrix"]), anything, min_size=1)
)
def test_nothing_breaks_it(around: dict[str, Any]) -> None:
    built({**around, "steps": [{"id": "s", "run": "x", "group": "a"}]})
    built(around)
    built([{"id": "w", "files_scope": [], "depends_on": ["v"], **around}, {"id": "v", "steps": ABC, **around}])
