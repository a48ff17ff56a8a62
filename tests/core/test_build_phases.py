"""`phases` and `finally`: what becomes of the parts of a workflow."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwave.core.model import Stage
from tests.core.build_texts import built, codes, told, workflow_of


def needs_of(text: Any) -> dict[str, tuple[str, ...]]:
    return {step.id: step.needs for step in workflow_of(text).steps}


def phase(id: str, *steps: str, **more: object) -> dict[str, object]:
    return {"id": id, "steps": [{"id": step, "type": "noop"} for step in steps], **more}


def test_phases_follow_each_other() -> None:
    assert needs_of({"phases": [phase("one", "a", "b"), phase("two", "c"), phase("three", "d", "e")]}) == {
        "a": (),
        "b": (),
        "c": ("a", "b"),
        "d": ("c",),
        "e": ("c",),
    }


def test_only_the_first_steps_of_a_phase_wait_for_only_the_last_ones_of_another() -> None:
    one = {"id": "one", "steps": [{"id": "a", "type": "noop"}, {"id": "b", "type": "noop", "dependsOn": "a"}]}
    two = {"id": "two", "steps": [{"id": "c", "type": "noop"}, {"id": "d", "type": "noop", "dependsOn": ["c", "a"]}]}
    assert needs_of({"phases": [one, two]}) == {"a": (), "b": ("a",), "c": ("b",), "d": ("c", "a")}


def test_a_phase_that_says_what_it_needs() -> None:
    phases = [phase("one", "a"), phase("two", "b", depends_on=[]), phase("three", "c", depends_on=["one", "two"])]
    assert needs_of({"phases": phases}) == {"a": (), "b": (), "c": ("a", "b")}
    assert needs_of({"phases": [phase("one", "a", depends_on="two"), phase("two", "b", depends_on=[])]})["a"] == ("b",)


def test_steps_beside_phases_wait_for_nobody() -> None:
    text = {"steps": [{"id": "x", "type": "noop"}], "phases": [phase("one", "a"), phase("two", "b")]}
    assert needs_of(text) == {"x": (), "a": (), "b": ("a",)}


def test_the_steps_of_a_phase_may_be_a_mapping_and_the_phase_may_go_by_its_name_or_number() -> None:
    phases = [
        {"name": "Set up", "steps": {"a": {"type": "noop"}}},
        {"steps": {"b": {"type": "noop"}}, "dependsOn": "Set up"},
        {"steps": {"c": {"type": "noop"}}, "dependsOn": ["2"]},
    ]
    assert needs_of({"phases": phases}) == {"a": (), "b": ("a",), "c": ("b",)}


def test_phases_in_workstreams_are_their_own() -> None:
    streams = [
        {"id": "w", "files_scope": [], "phases": [phase("one", "a"), phase("two", "b")]},
        {"id": "v", "files_scope": [], "depends_on": ["w"], "phases": [phase("one", "a"), phase("two", "b")]},
    ]
    assert needs_of(streams) == {"w.a": (), "w.b": ("w.a",), "v.a": ("w.b",), "v.b": ("v.a",)}


PHASES = "phases:\n- {id: one, steps: [{id: a, run: x}]}\n- {id: two, steps: [{id: b, run: x}]%s}\n"


@pytest.mark.parametrize(
    ("text", "severity", "code", "line", "column"),
    [
        (PHASES % ", depends_on: [onw]", "error", "unknown-phase", 3, 52),
        (PHASES % ", depends_on: two", "error", "self-dependency", 3, 51),
        (PHASES % ", checkpoint: 5", "error", "wrong-type", 3, 51),
        (PHASES % ", resume_strategy: wait", "warning", "unknown-strategy", 3, 56),
        (PHASES % ", dependson: [one]", "error", "unknown-key", 3, 39),
        ("phases:\n- {id: one, steps: []}\n", "error", "no-steps", 2, 8),
        ("phases:\n- {id: one}\n", "error", "no-steps", 2, 8),
        ("phases: []\n", "error", "no-steps", 1, 1),
        ("phases: {one: 1}\n", "error", "wrong-type", 1, 9),
        ("phases: [one]\n", "error", "wrong-type", 1, 10),
        (PHASES.replace("two", "one") % "", "error", "duplicate-id", 3, 8),
        (
            "phases:\n- {id: one, depends_on: two, steps: [{id: a, run: x}]}\n- {id: two, steps: [{id: b, run: x}]}\n",
            "error",
            "cycle",
            3,
            8,
        ),
    ],
)
def test_what_is_wrong_with_phases(text: str, severity: str, code: str, line: int, column: int) -> None:
    assert told(text) == [(severity, code, line, column)]


def test_a_cycle_through_phases_and_steps_is_found() -> None:
    one = {"id": "one", "steps": [{"id": "a", "type": "noop", "needs": "b"}]}
    assert codes({"phases": [one, phase("two", "b")]}) == ["cycle"]


def test_two_wide_phases_do_not_make_a_million_edges() -> None:
    wide = [phase(id, *(f"{id}{n}" for n in range(600))) for id in ("one", "two")]
    assert codes({"phases": wide}) == ["too-many-edges"]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.sets(st.integers(0, 4), max_size=2), min_size=1, max_size=4), min_size=1, max_size=4))
def test_no_step_of_a_phase_can_start_before_all_of_the_one_before_have_ended(shape: list[list[set[int]]]) -> None:
    phases = []
    for number, steps in enumerate(shape):
        made = [
            {"id": f"p{number}s{n}", "type": "noop", "needs": [f"p{number}s{m}" for m in sorted(needs) if m < n]}
            for n, needs in enumerate(steps)
        ]
        phases.append({"id": f"p{number}", "steps": made})
    needs = needs_of({"phases": phases})
    above: dict[str, set[str]] = {}
    for id, targets in needs.items():
        above[id] = set(targets).union(*(above[need] for need in targets))
    for number in range(1, len(shape)):
        before = {f"p{number - 1}s{n}" for n in range(len(shape[number - 1]))}
        for n in range(len(shape[number])):
            assert before <= above[f"p{number}s{n}"]


# --- finally ---------------------------------------------------------------------------------------------------------


def test_final_steps_are_of_a_stage_of_their_own() -> None:
    workflow = workflow_of(
        {
            "steps": [{"id": "a", "type": "noop"}],
            "finally": [{"id": "y", "type": "noop", "needs": ["a"]}, {"id": "z", "type": "noop", "needs": ["y", "a"]}],
        }
    )
    assert [(s.id, s.stage, s.needs) for s in workflow.steps] == [
        ("a", Stage.MAIN, ()),
        ("y", Stage.FINALLY, ()),
        ("z", Stage.FINALLY, ("y",)),
    ]


def test_final_steps_as_a_mapping() -> None:
    workflow = workflow_of({"steps": [{"id": "a", "type": "noop"}], "finally": {"z": {"run": "rm -f x"}}})
    assert [(s.id, s.script) for s in workflow.steps] == [("a", None), ("z", "rm -f x")]


@pytest.mark.parametrize(
    ("around", "own", "limit"),
    [
        ({}, {}, 300.0),
        ({}, {"timeout": "7s"}, 7.0),
        ({}, {"timeout": 0}, None),
        ({}, {"timeout": None}, None),
        ({"defaults": {"timeout": "9s"}}, {}, 9.0),
        ({"defaults": {"timeout": 0}}, {}, None),
        ({"defaults": {"timeout": "9s"}}, {"timeout": "7s"}, 7.0),
    ],
)
def test_final_steps_have_a_time_limit(around: dict[str, object], own: dict[str, object], limit: float | None) -> None:
    text = {**around, "steps": [{"id": "a", "type": "noop"}], "finally": [{"id": "z", "run": "x", **own}]}
    assert workflow_of(text).steps[1].timeout_s == limit
    assert workflow_of(text).steps[0].timeout_s == (9.0 if "9s" in str(around) else None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "steps: [{id: a, run: x, needs: [z]}]\nfinally: [{id: z, run: x}]\n",
            [("error", "bad-stage", 1, 33)],
        ),
        (
            "steps: [{id: a, expression: 'true', onTrue: [z]}]\nfinally: [{id: z, run: x}]\n",
            [("error", "bad-stage", 1, 46)],
        ),
        ("steps: [{id: a, run: x}]\nfinally: [{id: a, run: x}]\n", [("error", "duplicate-id", 2, 16)]),
        ("steps: [{id: a, run: x}]\nfinally: [{id: z, run: x, needs: b}]\n", [("error", "unknown-step", 2, 34)]),
        ("steps: [{id: a, run: x}]\nfinally: 5\n", [("error", "wrong-type", 2, 10)]),
        ("steps: [{id: a, run: x}]\nfinally: [{id: z, run: 'echo {{steps.a.output}}'}]\n", []),
    ],
)
def test_what_is_wrong_with_final_steps(text: str, expected: list[tuple[str, str, int, int]]) -> None:
    assert told(text) == expected


def test_every_workstream_may_have_final_steps() -> None:
    streams = [
        {"id": id, "files_scope": [], "steps": [{"id": "a", "type": "noop"}], "finally": [{"id": "z", "run": "x"}]}
        for id in ("w", "v")
    ]
    workflow, _ = built(streams)
    assert workflow is not None
    assert [(s.id, s.stage.name) for s in workflow.steps] == [
        ("w.a", "MAIN"),
        ("v.a", "MAIN"),
        ("w.z", "FINALLY"),
        ("v.z", "FINALLY"),
    ]
