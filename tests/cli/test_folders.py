"""`run DIR`, `graph DIR`, `validate DIR`: the workflow files of a folder as workstreams."""

from pathlib import Path

import pytest

from tests.cli.invoke import flow, normal, say, stepwave

FIRST = "id: first\nsteps: [{id: a, run: echo first}]\n"
SECOND = (
    '{"id": "second", "depends_on": ["first"], "steps": [{"id": "b", "command": "echo", "args": ["second"]}],'
    ' "acceptance_tests": ["true"]}'
)


def folder(tmp_path: Path, **files: str) -> Path:
    made = tmp_path / "ws"
    made.mkdir()
    for name, text in (files or {"first_yaml": FIRST, "second_json": SECOND}).items():
        flow(made, text, name.replace("_", "."))
    return made


def test_a_folder_runs_as_one(tmp_path: Path) -> None:
    folder(tmp_path)
    ended = stepwave("run", "ws", cwd=tmp_path)
    assert ended.code == 0
    lines = normal(ended.err, tmp_path).split("\n")
    assert lines[:2] == ["✓ Loading workflow: ws", "✓ Building dependency graph (3 steps, 1 dependency)"]
    assert [line for line in lines if "Complete" in line] == [
        "  ✓ [first.a] Complete (<t>)",
        "  ✓ [second.b] Complete (<t>)",
        "  ✓ [second.test.1] Complete (<t>)",
    ]


def test_a_folder_can_be_drawn(tmp_path: Path) -> None:
    folder(tmp_path, a_yaml=FIRST, b_yaml="depends_on: first\nsteps: [{id: b, run: x}]\n")
    ended = stepwave("graph", "ws", cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == say(
        """
        ws: 2 steps in 2 waves, 1 dependency, at most N at once

        Wave 1/2 (1 step)
          first.a

        Wave 2/2 (1 step)
          b.b  ← first.a
        """
    ).replace("N", ended.out.partition("at most ")[2].partition(" ")[0])


@pytest.mark.parametrize("option", ["--name", "--id", "--ws-id"])
def test_one_of_them_alone(option: str, tmp_path: Path) -> None:
    folder(tmp_path)
    ended = stepwave("run", "ws", option, "second", cwd=tmp_path)
    assert ended.code == 0
    assert "[second.b] Complete" in ended.err
    assert "first.a" not in ended.err


def test_a_name_that_is_not_there(tmp_path: Path) -> None:
    folder(tmp_path)
    ended = stepwave("run", "ws", "--id", "secund", cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == say(
        """
        error[which-workflow]: there is no workstream `secund` in this folder
         --> ws
          = help: did you mean `second`?

        1 error in ws
        """
    )


def test_what_is_wrong_between_files_has_its_excerpt(tmp_path: Path) -> None:
    folder(tmp_path, a_yaml=FIRST, b_yaml="depends_on: [frist]\nsteps: [{id: b, run: x}]\n")
    ended = stepwave("run", "ws", cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == say(
        """
        error[unknown-step]: Workstream "b" depends on non-existent workstream: frist
         --> ws/b.yaml:1:14
          |
        1 | depends_on: [frist]
          |              ^^^^^
          = help: did you mean `first`?

        1 error in ws/b.yaml
        """
    )


def test_two_of_one_name_are_told_by_validate_as_well(tmp_path: Path) -> None:
    folder(tmp_path, a_yaml=FIRST, b_yaml=FIRST)
    for command in ("validate", "run"):
        ended = stepwave(command, "ws", cwd=tmp_path)
        assert ended.code == 2
        assert "error[duplicate-id]: Duplicate bundle id 'first' in ws/a.yaml and ws/b.yaml\n --> ws/b.yaml:1:5\n" in (
            ended.err
        )


def test_validate_looks_at_the_whole_only_where_files_speak_of_each_other(tmp_path: Path) -> None:
    apart = "variables: {x: %s}\ntimeout: 5s\nsteps: [{id: a, run: 'echo {{x}}'}]\n"
    folder(tmp_path, a_yaml=apart % 1, b_yaml=apart % 2)
    ended = stepwave("validate", "ws", cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    flow(tmp_path / "ws", "depends_on: a\n" + apart % 2, "b.yaml")
    flow(tmp_path / "ws", "id: a\n" + apart % 1, "a.yaml")
    ended = stepwave("validate", "ws", cwd=tmp_path)
    assert ended.code == 2
    assert "error[conflicting-include]" in ended.err


def test_an_included_file_is_no_workstream_of_its_own(tmp_path: Path) -> None:
    folder(
        tmp_path, a_yaml="include: b.yaml\nsteps: [{id: a, run: echo a}]\n", b_yaml="steps: [{id: b, run: echo b}]\n"
    )
    ended = stepwave("run", "ws", cwd=tmp_path)
    assert ended.code == 0
    assert sorted(line.strip() for line in normal(ended.err).split("\n") if "Complete (" in line) == [
        "✓ [a.a] Complete (<t>)",
        "✓ [a.b.b] Complete (<t>)",
    ]


@pytest.mark.parametrize("command", ["run", "graph"])
def test_a_folder_without_workflows(command: str, tmp_path: Path) -> None:
    (tmp_path / "ws" / "below").mkdir(parents=True)
    ended = stepwave(command, "ws", cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == say(
        """
        error[no-workflow-files]: `ws` holds no workflow files
         --> ws

        1 error in ws
        """
    )
    flow(tmp_path / "ws" / "below", FIRST)
    ended = stepwave(command, "ws", cwd=tmp_path)
    assert " = help: name one of those below it, for example `ws/below/flow.yaml`" in ended.err


def test_a_broken_file_breaks_the_folder(tmp_path: Path) -> None:
    folder(tmp_path, a_yaml=FIRST, b_yaml="steps: [\n")
    ended = stepwave("run", "ws", cwd=tmp_path)
    assert ended.code == 2
    assert "error[yaml-syntax]" in ended.err
    assert " --> ws/b.yaml:1:8" in ended.err


@pytest.mark.parametrize(
    "text",
    [
        '{"id": "ask", "tool": "t", "tasks": ["do"], "tools": {"t": "cat"}}',
        "id: ask\nagent: t\ntasks: [do]\nagents: {t: cat}\n",
    ],
)
def test_a_workstream_that_has_tasks_instead_of_steps_is_one_too(text: str, tmp_path: Path) -> None:
    folder(
        tmp_path,
        a_yaml="id: after\ndepends_on: ask\nsteps: [{id: b, run: x}]\n",
        **{"b_json" if text[0] == "{" else "b_yaml": text},
    )
    ended = stepwave("graph", "ws", cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert "  after.b  ← ask" in ended.out


def test_what_only_speaks_of_tools_and_tasks_is_no_workflow(tmp_path: Path) -> None:
    folder(tmp_path, a_yaml=FIRST, notes_yaml="text: tools for tasks\n", tools_yaml="tools: {t: cat}\n")
    assert stepwave("graph", "ws", cwd=tmp_path).code == 0
