"""Agents, tools, and workstreams without steps: what is asked of them, and what becomes of it."""

from collections.abc import Mapping

import pytest

from stepwave.core.model import Agent, Stdin, Step, StepType
from tests.core.build_texts import built, codes, told, workflow_of

PROFILES: dict[str, object] = {"agents": {"bot": "ask", "default": "anyone"}, "tools": {"kit": "tell"}}


def step_of(step: Mapping[str, object], **around: object) -> Step:
    """The step, in a workflow in which `bot` and `kit` have profiles."""
    return workflow_of({**PROFILES, **around, "steps": [{"id": "a", **step}]}).steps[0]


@pytest.mark.parametrize("inside", [False, True])
def test_what_is_asked_stands_on_the_step_or_in_its_config(inside: bool) -> None:
    asked = {"agent": "bot", "prompt": "look", "parameters": {"depth": 2, "where": ["{{x}}", None]}}
    step = step_of({"config": asked} if inside else asked, variables={"x": 1})
    assert step.agent == Agent("bot", "look", (), {"depth": 2, "where": ["{{x}}", None]})
    assert (step.type, step.argv, step.stdin) == (StepType.SCRIPT, ("ask",), Stdin(text="look"))


def test_without_a_prompt_the_tasks_are_it_and_each_line_ends() -> None:
    step = step_of({"tool": "kit", "tasks": ["one", "two {{x}}"]}, variables={"x": 1})
    assert step.agent == Agent("kit", "one\ntwo {{x}}", ("one", "two {{x}}"))
    assert step.stdin == Stdin(text="one\ntwo {{x}}\n")
    both = step_of({"tool": "kit", "tasks": "one", "prompt": "all of them"})
    assert both.agent == Agent("kit", "all of them", ("one",))
    assert both.stdin == Stdin(text="all of them")


def test_who_is_asked_nothing_reads_nothing() -> None:
    step = step_of({"agent": "bot"})
    assert (step.agent, step.stdin) == (Agent("bot"), None)


def test_an_agent_without_a_name_is_the_default_one() -> None:
    assert step_of({"type": "agent", "prompt": "x"}).argv == ("anyone",)


def test_inputs_by_name_are_parameters_where_there_are_no_others() -> None:
    step = step_of({"tool": "kit", "inputs": {"value": 5}, "output": "number"})
    assert step.agent == Agent("kit", None, (), {"value": 5})
    step = step_of({"tool": "kit", "inputs": {"value": 5}, "parameters": {"value": 6}})
    assert step.agent == Agent("kit", None, (), {"value": 6})


def test_a_workstream_without_steps_is_one_agent() -> None:
    (step,) = workflow_of({**PROFILES, "id": "ws", "tool": "kit", "tasks": ["one", "two"]}).steps
    assert (step.id, step.argv, step.agent) == ("main", ("tell",), Agent("kit", "one\ntwo", ("one", "two")))


def test_workstreams_of_a_list_have_profiles_of_their_own() -> None:
    steps = workflow_of(
        [
            {"id": "x", "tool": "kit", "tasks": ["a"], "tools": {"kit": "first"}},
            {"id": "y", "tool": "kit", "tasks": ["a"], "tools": {"kit": "second"}},
        ]
    ).steps
    assert [step.argv for step in steps] == [("first",), ("second",)]


def test_without_a_profile_the_step_is_kept_and_help_says_what_to_write() -> None:
    workflow, found = built("steps:\n- {id: a, tool: nobody, prompt: x}\n- {id: b, agent: nobody, prompt: x}\n")
    assert workflow is not None
    assert [(step.type, step.argv, step.agent) for step in workflow.steps] == [
        (StepType.AGENT, (), Agent("nobody", "x"))
    ] * 2
    assert [d.code for d in found] == ["no-executor"] * 2
    help = "say what it runs, here or in a file for `--tools`: `%s: {nobody: {command: …}}`"
    assert [d.help for d in found] == [help % "tools", help % "agents"]


def test_a_broken_profile_is_told_once_and_not_as_a_missing_one() -> None:
    assert codes("agents: {bot: {}}\nsteps: [{id: a, agent: bot, prompt: x}, {id: b, agent: bot}]") == ["missing-key"]


@pytest.mark.parametrize("key", ["command: x", "run: x", "args: [x]", "shell: true"])
def test_what_an_agent_cannot_use_is_told(key: str) -> None:
    text = f"agents: {{bot: ask}}\nsteps:\n- {{id: a, type: agent, agent: bot, {key}}}\n"
    assert told(text) == [("warning", "ignored-key", 3, 36)]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("prompt: 'x {{nobody}}'", "unknown-variable"),
        ("tasks: [x, '{{nobody}}']", "unknown-variable"),
        ("parameters: {a: [{b: '{{nobody}}'}]}", "unknown-variable"),
        ("parameters: {a: '{{steps.b.output}}'}", "unknown-step"),
        ("parameters: {a: '{{1 +}}'}", "bad-expression"),
        ("parameters: [a]", "wrong-type"),
        ("parameters: a", "wrong-type"),
        ("prompt: [a]", "wrong-type"),
        ("tasks: {a: b}", "wrong-type"),
        ("prompt: x, config: {prompt: y}", "conflicting-keys"),
    ],
)
def test_what_is_asked_is_checked(said: str, code: str) -> None:
    assert codes(f"agents: {{bot: ask}}\nsteps:\n- {{id: a, agent: bot, {said}}}\n") == [code]


def test_the_rest_of_a_step_is_that_of_any_other() -> None:
    step = step_of(
        {"agent": "bot", "prompt": "x", "timeout": "5s", "cwd": "there", "env": {"A": 1}, "allowedExitCodes": [3]}
    )
    assert (step.timeout_s, step.cwd, step.env, step.allowed_exit_codes) == (5.0, "there", {"A": "1"}, (3,))
