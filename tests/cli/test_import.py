"""`stepwave import` as a person uses it: whole output, files, exit codes."""

from pathlib import Path

import pytest

from tests.cli.invoke import flow, say, stepwave


def test_a_makefile_to_standard_output(tmp_path: Path) -> None:
    flow(
        tmp_path,
        """\
        FLAGS ?= -O2
        .PHONY: all
        all: app notes
        app: app.c | out
        \tcc $(FLAGS) -o $@ $< && echo '{{done}}' $$HOME $(EXTRA)
        notes: $(shell ls)
        \tcat $^ > $@
        out:
        \tmkdir $@
        """,
        "Makefile",
    )
    (tmp_path / "app.c").write_text("int main;")
    assert stepwave("import", "Makefile", "--var", "FLAGS=-g", cwd=tmp_path) == (
        0,
        say("""
            # Made of Makefile by `stepwave import`. What has no equivalent is said in comments.

            name: all
            version: 1.0.0
            steps:
              - id: out
                condition: "!fileExists('out')"
                outputs: [out]
                run: mkdir out

              - id: app
                dependsOn: [out]
                inputs: [app.c]
                outputs: [app]
                run: cc -g -o app app.c && echo '\\{{done}}' $HOME ${EXTRA}

              # Makefile:6: target `notes` is left to make: its prerequisites hang on what `$(shell ls)` prints
              - id: notes
                run: make notes FLAGS=-g
            """),
        say("""
            Makefile: all with 3 steps
              1 thing without an equivalent: see the comments
            """),
    )


TASKS = """\
version: '3'
tasks:
  default:
    deps: [made]
    cmds: ["echo {{.NAME | default \\"you\\"}} > told.txt", {task: last}]
  made: {sources: [in.txt], generates: [out.txt], cmds: [cp in.txt out.txt]}
  last: {prompt: sure?, cmds: ["cat out.txt >> told.txt"]}
"""
JUST = """\
default who='you': made
    @echo {{who}} > told.txt; cat out.txt >> told.txt
made:
    cp in.txt out.txt
"""
SCRIPTS = """\
{"scripts": {"build": "run-s made told", "made": "cp in.txt out.txt",
"told": "echo you > told.txt && cat out.txt >> told.txt"}}
"""
ACTIONS = """\
on: push
jobs:
  made: {runs-on: ubuntu-latest, steps: [{uses: actions/checkout@v4}, {run: cp in.txt out.txt}]}
  told:
    needs: made
    runs-on: ubuntu-latest
    strategy: {matrix: {who: [you]}}
    steps: [{run: 'echo ${{ matrix.who }} > told.txt'}, {run: cat out.txt >> told.txt}]
"""
MAKE = """\
told.txt: out.txt
\techo you > $@; cat $< >> $@
out.txt: in.txt
\tcp $< $@
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Taskfile.yml", TASKS),
        ("justfile", JUST),
        ("package.json", SCRIPTS),
        (".github/workflows/ci.yml", ACTIONS),
        ("Makefile", MAKE),
    ],
)
@pytest.mark.parametrize("output", ["workflow.yaml", "else where/{{x}}/workflow.yaml"])
def test_what_is_written_is_valid_and_runs(name: str, text: str, output: str, tmp_path: Path) -> None:
    """In the folder of the source, and in another one."""
    source, written = tmp_path / "src" / name, tmp_path / "src" / output
    source.parent.mkdir(parents=True)
    written.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(text)
    (tmp_path / "src" / "in.txt").write_text("content\n")
    made = stepwave("import", source, "-o", written, cwd=tmp_path)
    assert (made.code, made.out) == (0, ""), made.err
    assert f"wrote {written}\n" in made.err
    assert stepwave("validate", "--strict", written, cwd=tmp_path).code == 0, written.read_text()
    ended = stepwave("run", written, "--quiet", cwd=tmp_path)
    assert ended.code == 0, ended.err + written.read_text()
    assert (tmp_path / "src" / "told.txt").read_text() == "you\ncontent\n"


ON_COMMAND_LINE = "error[{}]: {}\n --> command line{}\n\n1 error on the command line\n"


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("a:\n\ttrue\n")
    (tmp_path / "w.yaml").write_text("mine")
    assert stepwave("import", "Makefile", "-o", "w.yaml", cwd=tmp_path) == (
        2,
        "",
        ON_COMMAND_LINE.format("file-exists", "`w.yaml` is already there", "\n  = help: --force overwrites it"),
    )
    assert (tmp_path / "w.yaml").read_text() == "mine"
    assert stepwave("import", "Makefile", "-o", "w.yaml", "--force", cwd=tmp_path).code == 0
    assert "run: 'true'" in (tmp_path / "w.yaml").read_text().replace('"', "'")


def test_what_is_wrong_is_told(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("build:\n\ttrue\n")
    assert stepwave("import", "Makefile", "--target", "biuld", cwd=tmp_path) == (
        2,
        "",
        ON_COMMAND_LINE.format("unknown-target", "there is no target `biuld`", "\n  = help: did you mean `build`?"),
    )
    assert stepwave("import", "Makefile", "--var", "x", cwd=tmp_path) == (
        2,
        "",
        ON_COMMAND_LINE.format("bad-option", "`--var x` is not NAME=value", ""),
    )
    missing = stepwave("import", "no.mk", cwd=tmp_path)
    assert (missing.code, missing.out) == (2, "")
    assert "error[cannot-read]: `no.mk` does not exist" in missing.err
    (tmp_path / "justfile").write_text("greet who:\n  echo {{who}}\n")
    assert stepwave("import", "justfile", cwd=tmp_path).err.startswith(
        say("""
            error[missing-argument]: recipe `greet` needs a value for `who`
             --> justfile:1:1
              |
            1 | greet who:
            """)
    )
    given = stepwave("import", "justfile", "--recipe", "greet 'a b'", cwd=tmp_path)
    assert (given.code, "run: echo a b\n" in given.out) == (0, True)


def test_standard_input(tmp_path: Path) -> None:
    ended = stepwave("import", "-", "--from", "make", cwd=tmp_path, stdin="a:\n\techo a\n")
    assert (ended.code, ended.err) == (0, "-: a with 1 step\n")
    assert "    run: echo a\n" in ended.out
