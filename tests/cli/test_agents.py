"""Agents and tools through the whole program: small scripts stand for them. No real agent is ever started."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.invoke import Ended, flow, say, stepwave

SCRIPT = """\
#!/bin/sh
# Says what it was given, and how.
printf 'arguments:'; for word in "$@"; do printf ' <%s>' "$word"; done; echo
printf 'stdin: <'; cat; printf '>\\n'
printf 'environment: <%s> <%s> <%s>\\n' "$AGENT_PROMPT" "$AGENT_PARAMETERS" "$MODE"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a script `./bot` that says what it was given."""
    (tmp_path / "bot").write_text(SCRIPT)
    (tmp_path / "bot").chmod(0o755)
    return tmp_path


def results(folder: Path, file: str, *words: str, env: dict[str, str] | None = None, code: int = 0) -> dict[str, Any]:
    ended = stepwave("run", file, "--json", "--quiet", *words, cwd=folder, env=env)
    assert ended.code == code, ended.err
    found: dict[str, Any] = json.loads(ended.out)["stepResults"]
    return found


def output(folder: Path, file: str, *words: str) -> list[str]:
    """What the first step printed."""
    text: str = next(iter(results(folder, file, *words).values()))["output"]
    return text.splitlines()


def test_an_agent_gets_its_prompt_in_every_way_that_its_profile_asks_for(folder: Path) -> None:
    flow(
        folder,
        """
        agents:
          reviewer:
            command: ./bot --fast
            args: ["--say={{prompt}}", "{{tasks}}", "{{parameters}}", "{{parameters.depth}}", "{{variables.where}}"]
            env: {MODE: "for {{parameters.depth}}"}
        variables: {where: src, what: "it's $HOME; `x`"}
        steps:
          - id: review
            agent: reviewer
            prompt: |-
              Look at {{variables.where}}
              and at {{variables.what}}
            tasks: [one, "two {{variables.where}}"]
            parameters: {depth: 2, paths: ["{{variables.where}}", {deep: true}]}
        """,
    )
    prompt = "Look at src\nand at it's $HOME; `x`"
    parameters = '{"depth":2,"paths":["src",{"deep":true}]}'
    text = "\n".join(output(folder, "flow.yaml"))
    assert text.startswith(
        f"arguments: <--fast> <--say={prompt}> <one\ntwo src> <{parameters}> <2> <src>\nstdin: <{prompt}>\n"
        f"environment: <{prompt}> <"
    )
    rest = text.partition(f"environment: <{prompt}> <")[2]
    assert rest.endswith("> <for 2>")
    assert json.loads(rest.removesuffix("> <for 2>")) == {"depth": 2, "paths": ["src", {"deep": True}]}


def test_the_tasks_of_a_workstream_are_its_prompt_one_a_line(folder: Path) -> None:
    flow(folder, '{"id": "ws", "tool": "aider", "tasks": ["one", "two"], "tools": {"aider": "./bot"}}', "ws.json")
    assert output(folder, "ws.json") == [
        "arguments:", "stdin: <one", "two", ">", "environment: <one", "two> <{}> <>"
    ]  # fmt: skip


def test_a_profile_may_keep_stdin_empty_or_fill_it_differently(folder: Path) -> None:
    flow(
        folder,
        """
        agents:
          silent: {command: ./bot, stdin: none}
          framed: {command: ./bot, stdin: "[{{prompt}}]"}
          from-file: {command: ./bot, stdin: {file: brief.txt}}
        steps:
          - {id: a, agent: silent, prompt: hello}
          - {id: b, agent: framed, prompt: hello}
          - {id: c, agent: from-file, prompt: hello}
        """,
    )
    (folder / "brief.txt").write_text("the brief")
    found = results(folder, "flow.yaml")
    assert [found[id]["output"].splitlines()[1] for id in "abc"] == [
        "stdin: <>", "stdin: <[hello]>", "stdin: <the brief>"
    ]  # fmt: skip


def test_what_another_step_printed_can_be_a_part_of_the_prompt_and_never_a_command(folder: Path) -> None:
    flow(
        folder,
        """
        agents: {bot: {command: ./bot, args: ["{{prompt}}"]}}
        steps:
          - {id: ask, needs: find, agent: bot, prompt: "Mend {{steps.find.stdout}}"}
          - id: find
            run: echo '$(touch owned); \\{{prompt}} "quoted"'
        """,
    )
    said = results(folder, "flow.yaml")["ask"]["output"].splitlines()
    assert said[0] == 'arguments: <Mend $(touch owned); {{prompt}} "quoted">'
    assert not (folder / "owned").exists()


PATTERNS = """
agents:
  bot: {command: "sh -c 'cat; exit 0'", successPattern: "all (done|well)$", failure_pattern: "(?i)error"}
steps:
  - {id: a, agent: bot, prompt: "%s"}
"""


@pytest.mark.parametrize(
    ("prompt", "code", "reason"),
    [("now all done", 0, None), ("well", 1, "success pattern"), ("an Error, all done", 1, "failure pattern")],
)
def test_patterns_decide_whether_an_agent_has_succeeded(
    folder: Path, prompt: str, code: int, reason: str | None
) -> None:
    flow(folder, PATTERNS % prompt)
    (step,) = results(folder, "flow.yaml", code=code).values()
    assert step["success"] is (code == 0)
    assert (reason or "") in (step["error"] or "")


def test_the_time_limit_of_a_profile_holds(folder: Path) -> None:
    flow(
        folder,
        """
        agents: {bot: {command: sleep 100, timeout: 100ms}}
        steps: [{id: a, agent: bot, prompt: x}]
        """,
    )
    assert results(folder, "flow.yaml", code=1)["a"]["status"] == "timeout"


# --- where profiles come from ------------------------------------------------------------------------------


def test_the_option_goes_before_the_file_before_the_one_beside_it(folder: Path) -> None:
    (folder / "sub").mkdir()
    flow(
        folder / "sub",
        """
        agents: {a: printf own, b: printf own}
        steps:
          - {id: a, agent: a, prompt: x}
          - {id: b, agent: b, prompt: x}
          - {id: c, agent: c, prompt: x}
        """,
    )
    flow(folder / "sub", "{a: printf beside, b: printf beside, c: printf beside}", "tools.yml")
    flow(folder, '{"tools": {"a": {"command": ["printf", "option"]}}}', "given.json")

    def said(*words: str) -> list[str]:
        return [step["output"] for step in results(folder, "sub/flow.yaml", *words).values()]

    assert said() == ["own", "own", "beside"]
    assert said("--tools", "given.json") == ["option", "own", "beside"]
    assert said("--tools=given.json") == ["option", "own", "beside"]


@pytest.mark.parametrize("name", ["tools.yaml", "tools.yml", "tools.json"])
def test_a_file_of_tools_beside_the_workflow_is_found_by_its_name(folder: Path, name: str) -> None:
    flow(folder, "steps: [{id: a, tool: kit, prompt: x}]")
    flow(folder, '{"kit": "printf found"}', name)
    assert output(folder, "flow.yaml") == ["found"]


def test_nobody_looks_for_a_file_of_tools_that_no_step_needs(folder: Path) -> None:
    flow(folder, "agents: {bot: printf x}\nsteps: [{id: a, agent: bot, prompt: x}]")
    flow(folder, "this: [is no", "tools.yaml")
    assert output(folder, "flow.yaml") == ["x"]


def test_what_is_wrong_in_a_file_of_tools_is_shown_there(folder: Path) -> None:
    flow(folder, "steps: [{id: a, agent: bot, prompt: x}]")
    flow(folder, "other: {}\nbot: {comand: ask}\n", "tools.yaml")
    ended = stepwave("validate", "flow.yaml", cwd=folder)
    assert ended == Ended(
        2,
        "",
        say(
            """
            error[unknown-key]: a profile has no key `comand`
             --> tools.yaml:2:7
              |
            2 | bot: {comand: ask}
              |       ^^^^^^
              = help: did you mean `command`?

            1 error in tools.yaml
            """
        ),
    )


@pytest.mark.parametrize(
    ("text", "code"),
    [(None, "cannot-read"), ("[a]", "wrong-type"), ("a: [", "yaml-syntax"), ("bot: {}", "missing-key")],
)
@pytest.mark.parametrize("command", ["run", "validate"])
def test_a_file_of_the_option_must_be_one(folder: Path, text: str | None, code: str, command: str) -> None:
    flow(folder, "agents: {bot: printf x}\nsteps: [{id: a, agent: bot, prompt: x}]")
    if text is not None:
        flow(folder, text, "given.yaml")
    ended = stepwave(command, "flow.yaml", "--tools", "given.yaml", cwd=folder)
    assert ended.code == 2
    assert f"error[{code}]" in ended.err
    assert "given.yaml" in ended.err


def test_a_well_known_agent_needs_no_profile_but_must_be_installed(folder: Path) -> None:
    flow(folder, "steps: [{id: a, tool: aider, tasks: [x]}]")
    path = {"PATH": f"{folder}:/usr/bin:/bin"}
    ended = stepwave("validate", "flow.yaml", "--format", "json", cwd=folder, env=path)
    assert [found["code"] for found in json.loads(ended.out)["diagnostics"]] == ["agent-not-installed"]
    ended = stepwave("run", "flow.yaml", "--quiet", cwd=folder, env=path)
    assert ended.code == 1
    assert "aider" in ended.err
    (folder / "aider").symlink_to("bot")
    ended = stepwave("validate", "flow.yaml", "--format", "json", cwd=folder, env=path)
    assert json.loads(ended.out)["diagnostics"] == []
    (step,) = results(folder, "flow.yaml", env=path).values()
    lines = step["output"].splitlines()
    assert lines[0].startswith("arguments: <--yes-always> ")
    assert lines[0].endswith(" <--message=x>")
    assert lines[1] == "stdin: <>"


# --- without one -------------------------------------------------------------------------------------------

NOBODY = """
steps:
  - {id: a, agent: nobody, prompt: x}
  - {id: b, needs: a, run: echo b}
"""


def test_without_a_profile_the_step_fails_with_words_that_say_what_to_do(folder: Path) -> None:
    flow(folder, NOBODY)
    ended = stepwave("run", "flow.yaml", "--quiet", cwd=folder)
    assert ended.code == 1
    assert "no executor for agent 'nobody'" in ended.err
    checked = stepwave("validate", "flow.yaml", cwd=folder)
    assert checked.code == 0
    assert "warning[no-executor]: no executor for agent `nobody`: `run` will fail this step" in checked.err
    assert "= help: say what it runs, here or in a file for `--tools`: `agents: {nobody: {command: …}}`" in checked.err


def test_agents_without_a_profile_can_be_skipped(folder: Path) -> None:
    flow(folder, NOBODY)
    found = results(folder, "flow.yaml", "--skip-agents")
    assert [(step["status"], step["skipReason"]) for step in found.values()] == [
        ("skipped", "no executor"), ("completed", None)
    ]  # fmt: skip
    ended = stepwave("run", "flow.yaml", "--skip-agents", cwd=folder)
    assert "no executor for agent" not in ended.err


def test_an_agent_with_a_profile_is_not_skipped(folder: Path) -> None:
    flow(folder, "agents: {bot: printf x}\nsteps: [{id: a, agent: bot, prompt: x}]")
    assert results(folder, "flow.yaml", "--skip-agents")["a"]["status"] == "completed"


def test_the_shell_completes_the_file_of_the_option(folder: Path) -> None:
    flow(folder, "a: b", "given.yaml")
    env = {"_STEPWAVE_COMPLETE": "complete_bash", "COMP_WORDS": "stepwave run x.yaml --tools gi", "COMP_CWORD": "4"}
    assert "given.yaml" in stepwave(cwd=folder, env=env).out
    env = {"_STEPWAVE_COMPLETE": "complete_bash", "COMP_WORDS": "stepwave run x.yaml --skip-a", "COMP_CWORD": "3"}
    assert "--skip-agents" in stepwave(cwd=folder, env=env).out
