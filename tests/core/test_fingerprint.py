"""What makes a step the step that it is, and how a difference is told."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwave.core.building.build import Inputs, build
from stepwave.core.model import Private, Workflow
from stepwave.core.running.fingerprint import MAX_SHOWN, Definition, changed, definer, definition, definitions
from tests.core.build_texts import parsed


def workflow(step: Mapping[str, Any], environ: Mapping[str, str] | None = None, **around: Any) -> Workflow:
    beside = [{"id": "b", "run": "true"}, {"id": "c", "run": "true"}]
    made, found = build(parsed({**around, "steps": [{"id": "a", **step}, *beside]}), Inputs(environ=environ or {}))
    assert made is not None, found
    return made


def parts(step: Mapping[str, Any], environ: Mapping[str, str] | None = None, **around: Any) -> Definition:
    made = workflow(step, environ, **around)
    return definition(next(one for one in made.steps if one.id.partition("[")[0] == "a"), made)


RUN = {"run": "make all"}


@pytest.mark.parametrize(
    ("step", "around", "name", "value"),
    [
        (RUN, {}, "run", "make all"),
        ({"run": "x", "shell": "bash"}, {}, "shell", "bash -eo pipefail -c"),
        ({"command": "cc", "args": ["a b", "-o", ""]}, {}, "command", 'cc "a b" -o ""'),
        ({**RUN, "cwd": "sub"}, {}, "cwd", "sub"),
        ({**RUN, "env": {"CC": "gcc"}}, {}, "env CC", "gcc"),
        (RUN, {"env": {"CC": "gcc"}}, "env CC", "gcc"),
        ({**RUN, "env": {"CC": None}}, {"env": {"CC": "gcc"}}, "no env CC", ""),
        ({**RUN, "env": {"CC": "clang"}}, {"env": {"CC": "gcc"}}, "env CC", "clang"),
        ({**RUN, "stdin": "text"}, {}, "stdin", "text"),
        ({**RUN, "stdin": {"file": "in.txt"}}, {}, "stdin file", "in.txt"),
        ({**RUN, "dependsOn": ["c", "b"]}, {}, "needs", "b, c"),
        ({**RUN, "if": "1 == 1"}, {}, "condition", "1 == 1"),
        ({**RUN, "allowedExitCodes": [3, 0]}, {}, "allowed exit codes", "0, 3"),
        ({**RUN, "acceptanceTests": ["test -e x"]}, {}, "tests", "test -e x"),
        ({**RUN, "inputs": ["src/**"]}, {}, "inputs", "src/**"),
        ({**RUN, "inputs": []}, {}, "inputs", ""),
        ({**RUN, "outputs": ["out"]}, {}, "outputs", "out"),
        ({**RUN, "matrix": {"os": ["linux"]}}, {}, "matrix os", "linux"),
        ({**RUN, "forEach": [{"n": 1}]}, {}, "item", '{"n": 1}'),
        ({"agent": "someone", "prompt": "do it"}, {}, "prompt", "do it"),
        ({"agent": "someone"}, {}, "agent", "someone"),
        ({"function": "json:dumps", "params": {"obj": 1}}, {}, "function", "json:dumps"),
        ({"function": "json:dumps", "params": {"obj": 1}}, {}, "params", '{"obj": 1}'),
        ({"type": "noop"}, {}, "type", "noop"),
        ({"run": "echo {{v}}"}, {"variables": {"v": 1}}, "variable v", "1"),
        ({"run": "echo {{variables.v.deep}}"}, {"variables": {"v": {"deep": 2}}}, "variable v", '{"deep": 2}'),
        ({"run": "echo {{w}}"}, {"variables": {"v": 1, "w": "{{v}}2"}}, "variable w", "12"),
        ({"run": "echo $WORKFLOW_VAR_V"}, {"variables": {"v": 1}}, "variable v", "1"),
        ({"run": "echo ${WORKFLOW_VAR_DB_HOST}"}, {"variables": {"db": {"host": "h"}}}, "variable db", '{"host": "h"}'),
        ({**RUN, "if": "v == 1"}, {"variables": {"v": 1}}, "variable v", "1"),
        (RUN, {"variables": {"v": 1}, "env": {"A": "{{v}}"}}, "variable v", "1"),
        ({**RUN, "inputs": ["{{v}}/**"]}, {"variables": {"v": "src"}}, "variable v", "src"),
    ],
)  # fmt: skip
def test_every_part_has_a_name(step: dict[str, Any], around: dict[str, Any], name: str, value: str) -> None:
    assert parts(step, **around)[name] == value


def test_where_an_item_stands_in_its_list_counts_only_for_those_who_ask() -> None:
    for step in ({"run": "echo {{item}}"}, {"run": "echo {{item}}", "env": {"A": "{{item}}"}}):
        assert "index" not in parts({**step, "forEach": ["x"]})
    for step in ({"run": "echo {{index}}"}, {**RUN, "env": {"N": "{{index}}"}}, {**RUN, "if": "index > 0 || 1 == 1"}):
        assert parts({**step, "forEach": ["x"]})["index"] == "0"


def test_nothing_else_is_a_part() -> None:
    more = {
        "name": "Name", "description": "What", "priority": 3, "retries": 2, "timeout": 9000, "resource": "cpu",
        "maxConcurrency": 1, "idleTimeout": "3s", "continueOnError": True, "estimate": "5s", "keepOutputs": True,
        "outputs": ["x"],
    }  # fmt: skip
    assert parts({**RUN, **more}, resources={"cpu": 2}) == parts({**RUN, "outputs": ["x"]})
    assert parts(RUN, variables={"unread": 1}) == parts(RUN)


def test_a_variable_that_a_name_of_the_step_hides_is_not_read() -> None:
    found = parts({"run": "echo {{item}}", "forEach": ["x"]}, variables={"item": "y"})
    assert "variable item" not in found and found["item"] == "x"


def test_a_path_that_is_worked_out_may_read_any_variable() -> None:
    found = parts({"run": "echo {{variables[which]}}"}, variables={"which": "v", "v": 1, "w": 2})
    assert {name for name in found if name.startswith("variable")} == {"variable which", "variable v", "variable w"}


def test_what_comes_from_the_environment_is_sealed() -> None:
    variables = {"token": "{{env.TOKEN}}", "url": "https://{{token}}@host", "plain": "x"}
    step = {"run": "curl {{url}} {{plain}} {{env.TOKEN}}"}
    found = parts(step, {"TOKEN": "hush"}, variables=variables)
    assert "hush" not in repr(found)
    assert found["variable plain"] == "x"
    other = parts(step, {"TOKEN": "other"}, variables=variables)
    assert changed(found, other) == ("variable url changed",)


def test_the_text_of_a_dotenv_file_is_sealed() -> None:
    made = workflow(RUN)
    step = made.steps[0]._replace(env={"TOKEN": Private("hush")})
    found = definition(step, made, lambda text: f"sealed:{len(text)}")
    assert found["env TOKEN"] == "sealed:4"


def test_a_long_part_is_a_digest() -> None:
    found = parts({"run": "x" * (MAX_SHOWN + 1)})
    assert found["run"].startswith("blake2:") and len(found["run"]) < 50
    assert parts({"run": "x" * MAX_SHOWN})["run"] == "x" * MAX_SHOWN
    assert changed(found, parts({"run": "y" * (MAX_SHOWN + 1)})) == ("run changed",)


def test_all_steps_at_once_are_what_each_is_alone() -> None:
    made = workflow({**RUN, "matrix": {"os": ["linux", "mac"]}, "env": {"O": "{{matrix.os}}{{v}}"}}, variables={"v": 1})
    assert definitions(made) == {step.id: definition(step, made) for step in made.steps}
    assert definitions(made) == {step.id: definer(made)(step) for step in made.steps}


# --- differences -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ({}, {}, ()),
        ({"env CC": "gcc"}, {"env CC": "clang"}, ("env CC: gcc -> clang",)),
        ({}, {"env CC": "gcc"}, ("env CC: (none) -> gcc",)),
        ({"env CC": "gcc"}, {}, ("env CC: gcc -> (none)",)),
        ({"env CC": ""}, {"env CC": "x"}, ('env CC: "" -> x',)),
        ({"variable version": "1"}, {"variable version": "2"}, ("variable version: 1 -> 2",)),
        ({"command": "a"}, {"command": "b"}, ("command changed",)),
        ({"run": "a"}, {"command": "b"}, ("command is new", "run is gone")),
        ({"env A": "x"}, {"no env A": ""}, ("env A is taken away", "env A: x -> (none)")),
        ({"no env A": ""}, {}, ("env A is no longer taken away",)),
        ({"env A": "sealed:12"}, {"env A": "sealed:34"}, ("env A changed",)),
        ({"env A": "x" * 61}, {"env A": "y"}, ("env A changed",)),
        ({"env A": "\x1b[2J"}, {"env A": "y"}, ("env A changed",)),
        ({"matrix os": "a"}, {"matrix os": "b"}, ("matrix os: a -> b",)),
        ({"cwd": "a"}, {"cwd": "b", "stdin": "x"}, ("cwd: a -> b", "stdin is new")),
    ],
)  # fmt: skip
def test_differences_in_words(before: dict[str, str], now: dict[str, str], told: tuple[str, ...]) -> None:
    assert changed(before, now) == told


texts = st.text(max_size=8)
named = st.dictionaries(st.sampled_from(["run", "env A", "no env B", "variable v", "cwd", "tests"]), texts)


@given(named, named)
def test_there_is_a_difference_exactly_when_there_is_one(before: dict[str, str], now: dict[str, str]) -> None:
    assert bool(changed(before, now)) == (before != now)
    assert all(line.isprintable() for line in changed(before, now))


words = st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6), min_size=1, max_size=4)


@given(words, words)
def test_two_commands_are_one_part_only_when_they_are_the_same(one: list[str], other: list[str]) -> None:
    one, other = ["x", *one], ["x", *other]
    same = parts({"command": "x", "args": one})["command"] == parts({"command": "x", "args": other})["command"]
    assert same == (one == other)
