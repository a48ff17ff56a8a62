"""Steps of types that plugins provide: with plugins that are made of values."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pytest

from stepwave.core.building.build import Inputs, build
from stepwave.core.building.means import Command, Kind, Means, Refused, Wrong
from stepwave.core.diagnostics import Diagnostic
from stepwave.core.model import Stdin, Step, StepType, Value
from tests.core.build_texts import parsed


class Fixed(NamedTuple):
    """A type whose command is that of its `config`."""

    target: str | None = None
    wrongs: Sequence[Wrong] = ()
    refused: str | None = None

    def faults(self, config: Mapping[str, Value]) -> Sequence[Wrong]:
        return self.wrongs

    def command(self, config: Mapping[str, Value]) -> Command | Refused:
        if self.refused:
            return Refused(self.refused)
        return Command(["check", str(config.get("url"))], {"A": "{{x}}", "B": "plugin"}, "read {{x}}", 7.0)


class Shop(NamedTuple):
    kinds: Mapping[str, Kind | Refused]

    @property
    def names(self) -> Sequence[str]:
        return list(self.kinds)

    def get(self, name: str) -> Kind | Refused:
        return self.kinds[name]


def step_of(step: str, kind: Kind | Refused) -> tuple[Step | None, list[Diagnostic]]:
    text = f"variables: {{x: 1}}\nsteps:\n- {{id: a, {step}}}\n"
    inputs = Inputs(folder="/w", means=Means(kinds=Shop({"web-check": kind}), caller=("py", "call.py")))
    workflow, found = build(parsed(text), inputs)
    return workflow.steps[0] if workflow else None, found


def test_a_plugin_makes_the_command_and_the_rest_is_that_of_any_step() -> None:
    step, found = step_of("type: web-check, config: {url: 'http://{{x}}', timeout: {any: 1}}, env: {B: step}", Fixed())
    assert (step is not None, found) == (True, [])
    assert step is not None
    assert (step.type, step.argv) == (StepType.SCRIPT, ("check", "http://{{x}}"))
    assert (step.env, step.stdin, step.timeout_s) == ({"A": "{{x}}", "B": "step"}, Stdin(text="read {{x}}"), 7.0)
    step, _ = step_of("type: web-check, config: {url: u}, timeout: 2s, stdin: mine", Fixed())
    assert step is not None
    assert (step.stdin, step.timeout_s) == (Stdin(text="mine"), 2.0)


def test_a_plugin_that_works_itself_is_called_like_a_function() -> None:
    step, found = step_of("type: web-check, config: {url: '{{x}}', n: [1]}", Fixed("mod:thing.run"))
    assert (step is not None, found) == (True, [])
    assert step is not None
    assert step.argv == ("py", "call.py", "mod:thing.run")
    assert step.function is not None
    assert (step.function.target, step.function.params) == ("mod:thing.run", {"config": {"url": "{{x}}", "n": [1]}})


def test_without_a_config_the_plugin_gets_an_empty_one() -> None:
    step, _ = step_of("type: web-check", Fixed("mod:thing.run"))
    assert step is not None
    assert step.function is not None
    assert step.function.params == {"config": {}}


@pytest.mark.parametrize(
    ("wrong", "column", "words"),
    [
        (Wrong((), "`url` is missing"), 28, "`config` of a step of type `web-check`: `url` is missing"),
        (Wrong(("url",), "too short"), 42, "`config.url` of a step of type `web-check`: too short"),
        (Wrong(("list", 1), "odd"), 57, "`config.list.1` of a step of type `web-check`: odd"),
        (Wrong(("list", 9), "odd"), 53, "`config.list.9` of a step of type `web-check`: odd"),
    ],
)
def test_what_the_schema_has_against_a_config_is_told_where_it_stands(wrong: Wrong, column: int, words: str) -> None:
    step, found = step_of("type: web-check, config: {url: 'u', list: [a, b]}", Fixed(wrongs=[wrong]))
    assert step is None
    assert [(d.code, d.message, d.place.line, d.place.column) for d in found] == [("bad-config", words, 3, column)]


@pytest.mark.parametrize("kind", [Refused("cannot be imported: x"), Fixed(refused="cannot be imported: x")])
def test_a_broken_plugin_is_told_at_the_type(kind: Kind | Refused) -> None:
    step, found = step_of("type: web-check, config: {url: u}", kind)
    assert step is None
    assert [(d.code, d.message, d.place.column) for d in found] == [
        ("bad-plugin", "the plugin for steps of type `web-check` cannot be imported: x", 17)
    ]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("type: web-chek", "unknown-step-type"),
        ("type: web-check, config: [a]", "wrong-type"),
        ("type: web-check, config: {url: '{{nobody}}'}", "unknown-variable"),
        ("type: web-check, command: x", "ignored-key"),
        ("type: web-check, args: [x]", "ignored-key"),
    ],
)
def test_what_is_wrong_is_told(said: str, code: str) -> None:
    _, found = step_of(said, Fixed())
    assert {d.code for d in found} == {code}
    if code == "unknown-step-type":
        assert found[0].help == "did you mean `web-check`?"


def test_a_type_that_nobody_knows_is_told_with_those_that_are_known() -> None:
    _, found = step_of("type: qqq", Fixed())
    assert found[0].help == "write one of script, agent, condition, function, noop, web-check"
