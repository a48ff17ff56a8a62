"""`include` at the door: real files in real folders, and every complaint with the file that it is about."""

import os
from pathlib import Path

from tests.cli.invoke import flow, normal, say, stepwave


def library(folder: Path) -> None:
    (folder / "lib" / "more").mkdir(parents=True)
    (folder / "lib" / "more" / "note.txt").write_text("noted\n")
    flow(
        folder / "lib",
        """
        include: [more/deep.yaml]
        env: {WHO: world}
        variables: {greeting: bye}
        steps:
          - {id: one, run: 'echo "{{variables.greeting}} $WHO from $(basename "$PWD")"', dependsOn: deep}
          - {id: two, run: 'echo "{{steps.one.output}}!"', dependsOn: one}
        finally:
          - {id: last, run: 'echo "last: {{steps.two.output}}"'}
        """,
        "tools.yaml",
    )
    flow(folder / "lib" / "more", "steps: [{id: down, command: cat note.txt, timeout_sec: 5}]\n", "deep.yaml")


ROOT = """
    include: [lib/tools.yaml]
    variables: {greeting: hello}
    steps:
      - {id: a, run: 'echo "a: {{steps.tools.two.output}} ${WHO-nobody}"', dependsOn: tools}
    """


def test_files_in_files_are_one_run(tmp_path: Path) -> None:
    library(tmp_path)
    flow(tmp_path, ROOT)
    ended = stepwave("run", "-v", "flow.yaml", cwd=tmp_path)
    assert ended.code == 0
    printed = [line for line in normal(ended.err, tmp_path).split("\n") if line.startswith("    [")]
    assert printed == [
        "    [tools.deep.down] noted",
        "    [tools.one] hello world from lib",
        "    [tools.two] hello world from lib!",
        "    [a] a: hello world from lib! nobody",
        "    [tools.last] last: hello world from lib!",
    ]


def test_a_dry_run_shows_folder_and_environment_of_each_file(tmp_path: Path) -> None:
    library(tmp_path)
    flow(tmp_path, ROOT)
    ended = stepwave("run", "-n", "flow.yaml", cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert f"{tmp_path}/lib/more" in ended.out
    assert "WHO=world" in ended.out


def test_the_same_from_another_folder_and_through_a_link(tmp_path: Path) -> None:
    library(tmp_path)
    flow(tmp_path, ROOT)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "link.yaml").symlink_to("../flow.yaml")
    for path in (tmp_path / "flow.yaml", Path("link.yaml")):
        ended = stepwave("run", "-q", path, cwd=tmp_path / "elsewhere")
        assert ended.code == 0, ended.err


def test_every_finding_names_the_file_that_it_came_from(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    flow(tmp_path, "include: [lib/nope.yaml, lib/bad.yaml, lib/syntax.yaml]\n")
    flow(
        tmp_path / "lib",
        """\
        steps:
        - {id: a, run: x, needs: b}
        - {id: c, timeout: soon, run: x}
        """,
        "bad.yaml",
    )
    flow(tmp_path / "lib", "steps: [\n", "syntax.yaml")
    ended = stepwave("validate", "flow.yaml", cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == say(
        """
        error[cannot-include]: `lib/nope.yaml` does not exist
         --> flow.yaml:1:11
          |
        1 | include: [lib/nope.yaml, lib/bad.yaml, lib/syntax.yaml]
          |           ^^^^^^^^^^^^^
          = help: the path starts from the folder of this file

        error[unknown-step]: Step "bad.a" depends on non-existent step: b
         --> lib/bad.yaml:2:26
          |
        2 | - {id: a, run: x, needs: b}
          |                          ^

        error[bad-duration]: `timeout` is `soon`, which is no duration
         --> lib/bad.yaml:3:20
          |
        3 | - {id: c, timeout: soon, run: x}
          |                    ^^^^
          = help: write it like `1500ms`, `30s`, `5m` or `1h30m`

        error[yaml-syntax]: the bracket that opens here is never closed
         --> lib/syntax.yaml:1:8
          |
        1 | steps: [
          |        ^

        4 errors in 3 files
        """
    )


def test_a_circle_is_told_and_ends(tmp_path: Path) -> None:
    flow(tmp_path, "include: b.yaml\nsteps: [{id: a, run: x}]\n", "a.yaml")
    flow(tmp_path, "include: ./a.yaml\nsteps: [{id: b, run: x}]\n", "b.yaml")
    ended = stepwave("run", "a.yaml", cwd=tmp_path)
    assert ended.code == 2
    assert ended.err == say(
        """
        error[include-cycle]: `a.yaml` includes itself: a.yaml -> b.yaml -> a.yaml
         --> b.yaml:1:10
          |
        1 | include: ./a.yaml
          |          ^^^^^^^^
          = help: take one of these includes away

        1 error in b.yaml
        """
    )


def test_the_schema_is_asked_about_included_files_too(tmp_path: Path) -> None:
    flow(tmp_path, "include: b.yaml\nsteps: [{id: a, run: x}]\n")
    flow(tmp_path, "steps: [{id: b, run: x}]\nfinally: []\n", "b.yaml")
    ended = stepwave("validate", "--format", "json", "flow.yaml", cwd=tmp_path)
    assert ended.code == 2
    assert '"path": "b.yaml"' in ended.out


def test_a_workflow_from_standard_input_includes_from_the_current_folder(tmp_path: Path) -> None:
    flow(tmp_path, "steps: [{id: b, run: echo b}]\n", "b.yaml")
    ended = stepwave("run", "-q", "-", cwd=tmp_path, stdin="include: b.yaml\n")
    assert ended.code == 0, ended.err


def test_what_a_file_names_is_an_ordinary_file(tmp_path: Path) -> None:
    """A FIFO would be waited for for ever, and `-` is not standard input here."""
    os.mkfifo(tmp_path / "pipe.yaml")
    text = "include: [pipe.yaml, {file: '-', as: minus}]\ndotenv: pipe.yaml\nsteps: [{id: a, run: 'true'}]\n"
    flow(tmp_path, text)
    ended = stepwave("validate", "flow.yaml", cwd=tmp_path, stdin="steps: [{id: x, run: echo}]\n")
    assert [line for line in ended.err.split("\n") if line.startswith("error")] == [
        "error[cannot-include]: `pipe.yaml` is a FIFO, not a file",
        "error[cannot-include]: `-` does not exist",
        "error[cannot-read]: `pipe.yaml` is a FIFO, not a file",
    ]
