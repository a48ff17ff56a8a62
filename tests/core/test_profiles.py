"""Profiles of agents and tools: how they are read, and which of several with one name counts."""

from pathlib import Path

import pytest
import yaml

from stepwave.core.building.build import Inputs, build
from stepwave.core.building.means import Means, Shelf
from stepwave.core.building.profiles import check_shelf, programs_of
from stepwave.core.diagnostics import Diagnostic
from stepwave.core.model import Stdin, Step, StepType, Workflow
from stepwave.core.reading.parse import parse
from tests.core.build_texts import built, codes, parsed, told, workflow_of

PACKAGED = Path(__file__).resolve().parents[2] / "src/stepwave/tools.yaml"


def agent(profile: str, step: str = "prompt: say it") -> Step:
    """The step of an agent that has this profile."""
    return workflow_of(f"agents: {{bot: {profile}}}\nsteps:\n- {{id: a, agent: bot, {step}}}\n").steps[0]


def shelf(text: str, path: str = "tools.yaml", **more: object) -> Shelf:
    return Shelf(parsed(text, path), **more)  # type: ignore[arg-type]


def with_shelves(text: str, *shelves: Shelf) -> tuple[Workflow | None, list[Diagnostic]]:
    return build(parsed(text), Inputs(folder="/w", means=Means(shelves)))


# --- one profile ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "argv"),
    [
        ("ask", ("ask",)),
        ("\"ask --model 'large one' {{prompt}}\"", ("ask", "--model", "large one", "{{prompt}}")),
        ("{command: ask --once}", ("ask", "--once")),
        ("{command: [ask, 1, true], args: ['{{prompt}}', 2.50]}", ("ask", "1", "true", "{{prompt}}", "2.50")),
        ("{cmd: ask -v, args: ['*', '$HOME']}", ("ask", "-v", "*", "$HOME")),
        ("{command: \"ask --text='{{ prompt }}' {{parameters}}\"}", ("ask", "--text={{ prompt }}", "{{parameters}}")),
        ("{command: [sh, -c, 'ask \"$1\"', ask, '{{prompt}}']}", ("sh", "-c", 'ask "$1"', "ask", "{{prompt}}")),
    ],
)  # fmt: skip
def test_a_command_line_is_cut_into_words_and_arguments_follow(profile: str, argv: tuple[str, ...]) -> None:
    step = agent(profile)
    assert (step.type, step.argv, step.script) == (StepType.SCRIPT, argv, None)


@pytest.mark.parametrize(
    ("said", "stdin"),
    [
        ("", Stdin(text="say it")),
        (", stdin: true", Stdin(text="say it")),
        (", stdin: none", None),
        (", stdin: false", None),
        (", stdin: 'Do: {{prompt}}'", Stdin(text="Do: {{prompt}}")),
        (", stdin: {file: brief.txt}", Stdin(path="brief.txt")),
    ],
)
def test_the_prompt_is_read_unless_the_profile_says_otherwise(said: str, stdin: Stdin | None) -> None:
    assert agent(f"{{command: ask{said}}}").stdin == stdin
    assert agent(f"{{command: ask{said}}}", "prompt: say it, stdin: mine").stdin == Stdin(text="mine")


def test_environment_and_folder_stand_between_those_of_the_workflow_and_those_of_the_step() -> None:
    text = """
env: {W: workflow}
defaults: {env: {A: default, B: default, C: default}, workingDirectory: there}
agents: {bot: {command: ask, env: {B: profile, C: profile, D: null}, workingDirectory: here}}
steps:
- {id: a, agent: bot, prompt: x, env: {C: step}}
- {id: b, agent: bot, prompt: x, cwd: mine}
"""
    first, second = workflow_of(text).steps
    assert first.env == {"A": "default", "B": "profile", "C": "step", "D": None}
    assert (first.cwd, second.cwd) == ("here", "mine")


@pytest.mark.parametrize(
    ("profile", "step", "seconds"),
    [
        ("timeout_seconds: 90", "", 90.0),
        ("timeoutMs: 1500", "", 1.5),
        ("timeout: 2m", "", 120.0),
        ("timeout: 2000", "", 2.0),
        ("timeout: 2m", ", timeout: 3s", 3.0),
        ("timeout: null", "", None),
        ("env: {}", "", 60.0),
    ],
)
def test_the_time_limit_of_the_step_goes_before_that_of_the_profile_before_the_default(
    profile: str, step: str, seconds: float | None
) -> None:
    text = f"""
defaults: {{timeout: 1m}}
agents: {{bot: {{command: ask, {profile}}}}}
steps: [{{id: a, agent: bot, prompt: x{step}}}]
"""
    assert workflow_of(text).steps[0].timeout_s == seconds


@pytest.mark.parametrize("names", [("successPattern", "failurePattern"), ("success_pattern", "failure_pattern")])
def test_patterns_become_those_of_the_step(names: tuple[str, str]) -> None:
    step = agent(f"{{command: ask, {names[0]}: 'all done$', {names[1]}: '(?i)error'}}")
    assert (step.success_pattern, step.failure_pattern) == ("all done$", "(?i)error")


@pytest.mark.parametrize(
    ("profile", "code"),
    [
        ("[ask]", "wrong-type"),
        ("7", "wrong-type"),
        ("null", "wrong-type"),
        ("{}", "missing-key"),
        ("{args: [x]}", "missing-key"),
        ("''", "too-short"),
        ("{command: []}", "too-few-items"),
        ("{command: ask | tee log}", "bad-value"),
        ("{command: 'ask \"x'}", "bad-value"),
        ("{command: [sh, -c, 'ask {{prompt}}']}", "unsafe-reference"),
        ("{command: \"bash -ec 'ask {{prompt}}'\"}", "unsafe-reference"),
        ("{command: ask, succesPattern: x}", "unknown-key"),
        ("{command: ask, successPattern: '('}", "bad-pattern"),
        ("{command: ask, failure_pattern: 1}", "wrong-type"),
        ("{command: ask, stdin: {fil: x}}", "unknown-key"),
        ("{command: ask, stdin: [x]}", "wrong-type"),
        ("{command: ask, env: [x]}", "wrong-type"),
        ("{command: ask, timeout: soon}", "bad-duration"),
        ("{command: 'ask {{prompt +}}'}", "bad-expression"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_profile_is_told_even_if_nobody_uses_it(profile: str, code: str) -> None:
    found = told(f"agents:\n  bot: {profile}\nsteps:\n- {{id: a, run: x}}\n")
    assert ("error", code) in [(severity, name) for severity, name, *_ in found], found
    assert {line for *_, line, _ in found} == {2}


def test_the_texts_of_a_profile_know_prompt_tasks_and_parameters_and_what_all_texts_know() -> None:
    text = """
variables: {model: large}
agents: {bot: {command: ask, args: ["{{prompt}}", "{{tasks}}", "{{parameters.depth}}", "{{variables.model}}", "%s"]}}
steps: [{id: a, agent: bot, prompt: x}]
"""
    assert codes(text % "{{env.HOME}}") == []
    assert codes(text % "{{modle}}") == ["unknown-variable"]
    assert codes(text % "{{steps.b.output}}") == ["unknown-step"]


def test_outside_of_a_profile_nobody_knows_the_prompt() -> None:
    assert codes("agents: {bot: ask}\nsteps: [{id: a, agent: bot, prompt: 'x {{tasks}}'}]") == ["unknown-variable"]


@pytest.mark.parametrize("value", ["[bot, helper]", "bot", "7", "[{name: bot, command: ask}]"])
@pytest.mark.parametrize("key", ["agents", "tools"])
def test_names_alone_are_no_profiles(key: str, value: str) -> None:
    _, found = built(f"{key}: {value}\nsteps: [{{id: a, run: x}}]\n")
    (finding,) = found
    assert (finding.code, finding.place.line) == ("wrong-type", 1)
    assert finding.help == f"write `{key}: {{NAME: {{command: …}}}}`"


def test_notes_are_no_profiles() -> None:
    assert codes("agents: {_note: 1, x-more: 2, bot: {command: ask, _why: 3}}\nsteps: [{id: a, run: x}]\n") == []


# --- which one counts ------------------------------------------------------------------------------------------------

TWICE = """
agents: {bot: from-agents}
tools: {bot: from-tools, only: only-a-tool}
steps:
- {id: a, agent: bot, prompt: x}
- {id: b, tool: bot, prompt: x}
- {id: c, agent: only, prompt: x}
"""


def test_an_agent_is_looked_for_among_the_agents_first_a_tool_among_the_tools() -> None:
    assert [step.argv for step in workflow_of(TWICE).steps] == [("from-agents",), ("from-tools",), ("only-a-tool",)]


def test_the_file_of_the_command_line_goes_first_then_the_workflow_then_the_other_files() -> None:
    steps = ", ".join(f"{{id: {name}, agent: {name}, prompt: x}}" for name in "abcd")
    text = f"agents: {{b: own, c: own}}\nsteps: [{steps}]"
    above = shelf("{b: above, z: }", "given.yaml", above=True)
    first, second = shelf("tools: {a: first, c: first}"), shelf("{a: second, d: second}", "more.yaml")
    workflow, found = with_shelves(text, first, second, above)
    assert workflow is not None, found
    assert [step.argv for step in workflow.steps] == [("first",), ("above",), ("own",), ("second",)]
    assert found == []


def test_a_section_of_a_file_of_tools_is_looked_through_before_the_other() -> None:
    text = "steps: [{id: a, agent: bot, prompt: x}, {id: b, tool: bot, prompt: x}]"
    both = shelf("agents: {bot: from-agents}\ntools: {bot: from-tools}")
    workflow, _ = with_shelves(text, both)
    assert workflow is not None
    assert [step.argv for step in workflow.steps] == [("from-agents",), ("from-tools",)]


def test_a_tool_may_be_called_tools() -> None:
    workflow, _ = with_shelves("steps: [{id: a, tool: tools, prompt: x}]", shelf("tools: {command: ask}"))
    assert workflow is not None
    assert workflow.steps[0].argv == ("ask",)


def test_of_another_file_only_what_is_asked_for_is_read_and_its_faults_stand_there() -> None:
    bad = shelf("good: ask\nbad: {comand: x}\nodd: {command: ask, timeout: 5, args: ['{{nobody}}', '{{steps.a}}']}\n")
    text = "steps: [{id: a, agent: %s, prompt: x}, {id: b, agent: %s, prompt: x}]"
    assert with_shelves(text % ("good", "good"), bad)[1] == []
    found = with_shelves(text % ("bad", "bad"), bad)[1]
    assert {(d.code, d.place.path, d.place.line) for d in found} == {
        ("unknown-key", "tools.yaml", 2)
    }  # fmt: skip
    found = with_shelves(text % ("odd", "odd"), bad)[1]
    assert [(d.code, d.place.path, d.place.line) for d in found] == [
        ("ambiguous-unit", "tools.yaml", 3), ("unknown-variable", "tools.yaml", 3), ("unknown-step", "tools.yaml", 3)
    ]  # fmt: skip


def test_of_another_file_the_programs_are_known_without_reading_it() -> None:
    assert programs_of(shelf("a: ask --x\nb: {command: [tell, x]}\nc: {command: go}\nd: 7\ne: []\n")) == {
        "ask", "tell", "go", "7"
    }  # fmt: skip
    assert check_shelf(shelf("- a")) == "holds a list, not profiles by name"
    assert check_shelf(shelf("a: b")) is None


def test_a_program_that_is_not_installed_is_told() -> None:
    text = "steps:\n- {id: a, agent: bot, prompt: x}\n- {id: b, agent: kit, prompt: x}\n"
    workflow, found = with_shelves(text, shelf("bot: ask\nkit: tell\n", absent=frozenset({"ask"})))
    assert workflow is not None
    assert [(d.code, d.place.line, d.place.column) for d in found] == [("agent-not-installed", 2, 18)]
    assert workflow.steps[0].argv == ("ask",)


# --- those that come along -------------------------------------------------------------------------------------------


def test_the_packaged_profiles_are_sound_and_start_what_they_are_named_for() -> None:
    document, found = parse(PACKAGED.read_bytes(), "tools.yaml")
    assert found == []
    assert document is not None
    names = ["aider", "claude", "codex", "gemini", "llm"]
    text = "steps:\n" + "".join(f"- {{id: {name}, agent: {name}, prompt: hello}}\n" for name in names)
    workflow, findings = with_shelves(text, Shelf(document))
    assert findings == []
    assert workflow is not None
    assert [step.argv[0] for step in workflow.steps] == names
    read_it = {step.id: step.stdin == Stdin(text="hello") for step in workflow.steps}
    told_it = {step.id: any("{{prompt}}" in word for word in step.argv) for step in workflow.steps}
    assert read_it == {**dict.fromkeys(names, True), "aider": False}
    assert told_it == {**dict.fromkeys(names, False), "aider": True}
    assert list(yaml.safe_load(PACKAGED.read_text("utf-8"))["agents"]) == names


def test_every_packaged_profile_names_the_page_it_is_taken_from() -> None:
    lines = PACKAGED.read_text("utf-8").splitlines()
    for name in ("aider", "claude", "codex", "gemini", "llm"):
        before = lines[lines.index(f"  {name}:") - 1]
        assert before.startswith("  # "), name
        assert any("https://" in line for line in lines[lines.index(f"  {name}:") - 2 : lines.index(f"  {name}:")]), (
            name
        )
