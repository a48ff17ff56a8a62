"""A key that means nothing in a step of its type is told, whatever the type."""

import pytest

from tests.core.build_texts import told

RUN, AGENT, CONDITION, FUNCTION, NOOP = (
    "run: x", "agent: claude", "expression: 'true', onTrue: b", "function: 'm:f'", "type: noop",
)  # fmt: skip
ASKED = ["prompt: x", "parameters: {a: 1}", "tasks: [x]"]
DECIDED = ["onTrue: b", "onFalse: [b]"]


@pytest.mark.parametrize(
    ("what", "key"),
    [
        *((RUN, key) for key in (*ASKED, *DECIDED, "agent: claude", "tool: t", "params: {a: 1}")),
        *((AGENT, key) for key in (*DECIDED, "params: {a: 1}", "args: [x]")),
        *((CONDITION, key) for key in (*ASKED, "run: x", "shell: bash", "stdin: x", "agent: claude")),
        *((FUNCTION, key) for key in (*DECIDED, "prompt: x", "tasks: [x]", "agent: claude")),
        *((NOOP, key) for key in (*ASKED, *DECIDED, "run: x", "args: [x]", "stdin: x", "agent: claude", "tool: t")),
    ],
)
def test_a_key_of_another_type_is_told(what: str, key: str) -> None:
    rest = "\n- {id: b, run: x}\n"
    without = told(f"- {{id: a, {what}}}{rest}")
    found = told(f"- {{id: a, {what}, {key}}}{rest}")
    assert [one for one in found if one not in without] == [("warning", "ignored-key", 1, len(what) + 13)]


@pytest.mark.parametrize("key", ["objective: A good thing", "module: m, action: f", "description: x"])
def test_what_only_describes_a_step_is_not(key: str) -> None:
    assert told(f"- {{id: a, run: x, {key}}}\n") == []


@pytest.mark.parametrize("key", ["run: x", "command: x"])
def test_a_function_and_a_command_are_one_too_many(key: str) -> None:
    assert told(f"- {{id: a, {key}, function: 'json:loads'}}\n") == [("error", "conflicting-keys", 1, 11)]
