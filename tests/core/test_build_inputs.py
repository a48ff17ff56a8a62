"""`inputs`, `outputs`, `provides`, `keepOutputs`: what they become, and whether a reader waits for the maker."""

import pytest

from stepwave.core.building.build import Inputs, build
from tests.core.build_texts import Said, built, codes, parsed, step_of, told


def test_patterns_are_kept_as_they_are_written() -> None:
    step = step_of({"run": "x", "inputs": ["src/**/*.c", "a.h", "a.h"], "outputs": "out", "keepOutputs": True})
    assert (step.inputs, step.outputs, step.keep_outputs) == (("src/**/*.c", "a.h"), ("out",), True)


def test_no_inputs_are_something_else_than_an_empty_list() -> None:
    assert step_of({"run": "x"}).inputs is None
    assert step_of({"run": "x", "outputs": ["o"]}).inputs is None
    assert step_of({"run": "x", "inputs": None}).inputs is None
    assert step_of({"run": "x", "inputs": []}).inputs == ()


def test_inputs_by_name_are_no_files() -> None:
    assert step_of({"run": "x", "inputs": {"a": 1}}).inputs is None
    step = step_of({"agent": "one", "inputs": {"a": 1}})
    assert step.inputs is None and step.agent and step.agent.parameters == {"a": 1}
    assert step_of({"agent": "one", "inputs": ["a"]}).inputs == ("a",)


@pytest.mark.parametrize("where", ["step", "config"])
def test_what_a_step_provides_is_a_file_where_it_looks_like_one(where: str) -> None:
    said = {"provides": ["schema", "dist/app", "report.xml", "obj*", "{{v}}", "a[bc]"]}
    step = step_of({"run": "x", **(said if where == "step" else {"config": said})}, variables={"v": 1})
    assert step.outputs == ("dist/app", "report.xml", "obj*", "{{v}}", "a[bc]")


def test_outputs_of_config_may_be_names_and_those_of_a_step_are_files() -> None:
    assert step_of({"run": "x", "outputs": ["app"], "config": {"outputs": ["schema", "b/c"]}}).outputs == ("app", "b/c")


@pytest.mark.parametrize(
    ("step", "found"),
    [
        ("inputs: [1]", ("error", "wrong-type", 2, 28)),
        ("inputs: 1", ("error", "wrong-type", 2, 27)),
        ('inputs: [""]', ("error", "bad-value", 2, 28)),
        ("outputs: {a: 1}", ("error", "wrong-type", 2, 28)),
        (f"outputs: [{'x' * 1001}]", ("error", "bad-value", 2, 29)),
        ("inputs: [\"{{nobody}}\"]", ("warning", "unknown-variable", 2, 31)),
        ("inputs: [\"{{steps.nobody.output}}\"]", ("error", "unknown-step", 2, 37)),
        ("outputs: [\"{{(}}\"]", ("error", "bad-expression", 2, 33)),
        ("keepOutputs: true", ("warning", "ignored-key", 2, 19)),
        ("keepOutputs: maybe, outputs: [a]", ("error", "wrong-type", 2, 32)),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(step: str, found: tuple[str, str, int, int]) -> None:
    assert found in told(f"steps:\n- {{id: a, run: x, {step}}}\n")


def test_a_step_that_starts_nothing_has_no_files() -> None:
    both = "inputs: [a], outputs: [b]"
    assert codes(f"steps: [{{id: a, type: noop, {both}}}]") == ["ignored-key", "ignored-key"]
    text = f"steps: [{{id: a, type: condition, expression: 'true', onTrue: b, {both}}}, {{id: b, run: x}}]"
    assert codes(text) == ["ignored-key", "ignored-key"]


# --- who reads what another one makes ------------------------------------------------------------------------------


def traffic(text: Said) -> list[str]:
    workflow, found = built(text)
    assert workflow is not None, found
    assert all(one.code in ("not-upstream", "files-unchecked") for one in found), found
    return [one.message for one in found]


MAKE = {"id": "make", "run": "x"}
READ = {"id": "read", "run": "x"}


@pytest.mark.parametrize(
    ("made", "read", "path"),
    [
        ("out/app", "out/app", "out/app"),
        ("./out//app", "out/app", "out/app"),
        ("out", "out/app", "out/app"),
        ("out/app", "out", "out/app"),
        ("out/app", ".", "out/app"),
        ("out/*.o", "out/a.o", "out/a.o"),
        ("out/a.o", "out/*.o", "out/a.o"),
        ("out/**", "out/deep/*.h", "out/deep/x.h"),
        ("out/{{v}}.o", "out/1.o", "out/1.o"),
        ("/abs/x", "/abs/x", "/abs/x"),
    ],
)
def test_who_reads_what_another_one_makes_should_wait_for_it(made: str, read: str, path: str) -> None:
    steps = [{**MAKE, "outputs": [made]}, {**READ, "inputs": [read]}]
    sentence = f"step `read` reads `{path}`, which `make` makes, but does not wait for it"
    assert traffic({"steps": steps, "variables": {"v": 1}}) == [sentence]
    steps[1]["dependsOn"] = "make"
    assert traffic({"steps": steps, "variables": {"v": 1}}) == []


@pytest.mark.parametrize(
    ("made", "read"),
    [("out/app", "out/apple"), ("out/app", "other/app"), ("out/*.o", "out/a.c"), ("a", "b"), ("out", "outer/x")],
)
def test_different_files_are_nobodys_affair(made: str, read: str) -> None:
    assert traffic({"steps": [{**MAKE, "outputs": [made]}, {**READ, "inputs": [read]}]}) == []


def test_waiting_by_way_of_others_is_enough_and_nobody_waits_for_himself() -> None:
    between = {"id": "between", "run": "x", "dependsOn": "make"}
    steps = [
        {**MAKE, "outputs": ["o"], "inputs": ["o"]},
        between,
        {**READ, "inputs": ["o", "p"], "dependsOn": "between"},
    ]
    assert traffic({"steps": steps}) == []


def test_the_members_of_a_matrix_read_what_is_their_own() -> None:
    steps = [
        {**MAKE, "matrix": {"os": ["a", "b"]}, "outputs": ["out/{{matrix.os}}"]},
        {**READ, "matrix": {"os": ["a", "b"]}, "inputs": ["out/{{matrix.os}}"], "dependsOn": "make[os=a]"},
    ]
    told_of = traffic({"steps": steps})
    assert told_of == ["step `read[os=b]` reads `out/b`, which `make[os=b]` makes, but does not wait for it"]


def test_a_pattern_that_hangs_on_a_step_is_not_asked_about() -> None:
    steps = [{**MAKE, "outputs": ["o"]}, {**READ, "inputs": ["{{steps.make.output}}"], "dependsOn": "make"}]
    assert traffic({"steps": steps}) == []


def test_files_of_an_included_file_start_from_its_folder() -> None:
    root = '{"include": ["sub/lib.json"], "steps": [{"id": "read", "run": "x", "inputs": ["sub/o"]}]}'
    lib = parsed('{"steps": [{"id": "make", "run": "x", "outputs": ["o"]}]}', "sub/lib.json")
    workflow, found = build(parsed(root, "root.json"), Inputs(folder="/w", documents={"sub/lib.json": lib}))
    assert workflow is not None
    assert [one.message for one in found] == [
        "step `read` reads `sub/o`, which `lib.make` makes, but does not wait for it"
    ]


def test_very_many_steps_that_read_the_same_take_no_time() -> None:
    steps = [{**MAKE, "outputs": ["h/x.h"]}]
    steps += [{"id": f"s{n}", "run": "x", "inputs": ["h/**", "common"], "dependsOn": "make"} for n in range(3000)]
    assert traffic({"steps": steps}) == []
    crowd = [{"id": f"m{n}", "run": "x", "outputs": [f"o/*/{n}"]} for n in range(150)]
    crowd += [{"id": f"r{n}", "run": "x", "inputs": [f"o/{n}/*"]} for n in range(150)]
    assert "there are too many patterns to find out who reads what another step makes" in traffic({"steps": crowd})
