"""What is taken of a source, in which order, and how what only the run knows is told."""

import pytest

from stepwave.core.importing.holes import uses_private_characters
from stepwave.core.importing.kinds import Imported
from tests.core.importing.folder import imported


def told(made: Imported) -> str:
    """Everything that a person gets to see of it."""
    findings = (text for one in made.findings for text in (one.message, one.help))
    return "\n".join(filter(None, (made.text, made.taken, *made.others, *findings)))


ORDER = """\
version: '3'
tasks:
  default: {cmds: [{task: build}, {task: test}, {task: again}]}
  generate: {cmds: [echo generate]}
  build: {deps: [generate], cmds: [echo build]}
  test: {deps: [generate], cmds: [echo test]}
  again: {run: once, deps: [test], cmds: [echo again]}
  other: {cmds: [echo other]}
"""


def test_calls_wait_for_each_other_where_they_share_dependencies() -> None:
    text = imported(ORDER, "Taskfile.yml").text or ""
    assert "- id: build\n    dependsOn: [generate]\n" in text
    assert "- id: test\n    dependsOn: [generate, build]\n" in text


def test_a_task_that_runs_once_does_not_let_what_follows_go_ahead() -> None:
    tasks = """\
        version: '3'
        tasks:
          default: {cmds: [{task: once}, {task: long}, {task: once}, {task: last}]}
          once: {run: once, cmds: [echo once]}
          long: {cmds: [echo long]}
          last: {cmds: [echo last]}
    """
    assert "- id: last\n    dependsOn: [once, long]\n" in (imported(tasks, "Taskfile.yml").text or "")


JUST = "a: b\n  echo a\nb:\n  echo b\nc:\n  echo c\n"
MAKE = ".PHONY: a b c\na: b\n\techo a\nb:\n\techo b\nc:\n\techo c\n"
NPM = '{"scripts": {"build": "npm run b", "b": "echo b", "c": "echo c"}}'


@pytest.mark.parametrize(
    ("name", "text", "others"),
    [
        ("Taskfile.yml", ORDER, ("other",)),
        ("justfile", JUST, ("c",)),
        ("Makefile", MAKE, ("c",)),
        ("package.json", NPM, ("c",)),
    ],
)
def test_what_came_along_is_not_told_as_left_out(name: str, text: str, others: tuple[str, ...]) -> None:
    assert imported(text, name).others == others


@pytest.mark.parametrize(
    ("name", "text", "shown"),
    [
        ("Taskfile.yml", "version: '3'\ndotenv: ['{{.E}}/.env']\ntasks: {a: {cmds: [x]}}", "# `dotenv: $E/.env`: only"),
        ("Taskfile.yml", "version: '3'\ntasks: {a: {dotenv: ['{{.E}}/.env'], cmds: [x]}}", "`dotenv: $E/.env`: only"),
        ("Taskfile.yml", "version: '3'\nincludes: {x: '{{.E}}.yml'}\ntasks: {a: {cmds: [x]}}", "Taskfile `$E.yml` of"),
        ("justfile", 'set dotenv-filename := env("E")\na:\n  x', "# the file `$E` of variables: only the run"),
        ("justfile", 'e := env("E")\na:\n  #!/bin/{{e}}\n  x', "its interpreter is known only to the run"),
        ("justfile", 'e := env("E")\na:\n  #!/bin/sh {{e}}\n  x', "its interpreter is known only to the run"),
        ("Makefile", "all:\n\techo\nb-$(shell date):\n\techo", "b-$(date)"),
        ("Makefile", ".DEFAULT_GOAL := $(E)-b\nall:\n\techo\n", "there is no target `$E-b`"),
    ],
)
def test_what_only_the_run_knows_is_told_by_its_name(name: str, text: str, shown: str) -> None:
    everything = told(imported(text, name))
    assert shown in everything
    assert not uses_private_characters(everything)


def test_a_default_goal_is_worked_out() -> None:
    assert imported("X = b\n.DEFAULT_GOAL = $(X)\na:\n\techo a\nb:\n\techo b\n").taken == "b with 1 step"


@pytest.mark.parametrize(
    ("head", "step"),
    [
        ("build p=`date`: first\n  echo {{p}}\nfirst:\n  echo first\n", "- id: build\n    run: just build\n"),
        ('build p="x": (first if `date` == "" { "" } else { p })\n  x\nfirst q:\n  x\n', "    run: just build\n"),
    ],
)
def test_a_recipe_of_which_the_values_are_unknown_is_left_to_just(head: str, step: str) -> None:
    made = imported('mode := if `date` == "" { "a" } else { "b" }\n' + head.replace("p=`date`", "p=mode"), "justfile")
    assert made.findings == ()
    assert made.text is not None
    assert step in made.text
    assert "recipe `build` is left to just: " in made.text
    assert made.text.count("- id: ") == 1


def test_a_folder_that_is_an_expression_in_brackets() -> None:
    assert "workingDirectory: \"{{default(env.E, '')}}\"" in (
        imported('[working-directory(env("E"))]\na:\n  echo a\n', "justfile").text or ""
    )


def test_scripts_that_pass_on_what_they_are_given() -> None:
    scripts = '{"scripts": {"build": "run-p check \\"only {@}\\" --", "all": "npm run build -- --fast", %s}}'
    text = scripts % '"check": "tsc --build", "only": "vite build"'
    plain = imported(text, "package.json").text or ""
    assert "- id: check\n    run: tsc --build\n" in plain
    assert "- id: only\n    run: vite build\n" in plain
    given = imported(text, "package.json", "all").text or ""
    assert "- id: check\n    run: tsc --build\n" in given
    assert "- id: only\n    run: vite build --fast\n" in given
