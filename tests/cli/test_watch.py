"""`run --watch`: real files are changed beside a real command, and what it says is waited for."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.invoke import (
    MARK,
    PATIENCE_S,
    ROOT,
    Gate,
    assert_alone,
    clean_environment,
    first_lines,
    flow,
    normal,
    say,
    started,
    stepwave,
)

pytest.importorskip("watchfiles")

BUILD = """
    name: Build
    steps:
      - id: compile
        inputs: ["src/**/*.c"]
        outputs: [out/app]
        run: mkdir -p out; find src -name '*.c' | sort | xargs cat > out/app
      - {id: pack, dependsOn: compile, inputs: [out/app], outputs: [app.txt], run: cp out/app app.txt}
      - {id: greet, dependsOn: pack, run: cat app.txt}
      - {id: alone, dependsOn: [], run: echo alone}
    """


class Watching:
    """A command that watches, and what it has said since it was last asked."""

    def __init__(self, process: "subprocess.Popen[bytes]", folder: Path) -> None:
        self.process = process
        self._folder = folder

    def heard(self) -> str:
        """Up to the line in which it says that it waits."""
        lines = first_lines(self.process.stderr, lambda line: line.startswith(("Watching", "Waiting")))
        return normal("\n".join(lines) + "\n", self._folder)

    def runs(self) -> list[str]:
        """As `heard`: the headlines, and the steps that were started, sorted between two headlines."""
        lines = self.heard().split("\n")
        found: list[str] = []
        steps: list[str] = []
        for line in [*lines, "---"]:
            if line.startswith("---"):
                found += sorted(steps)
                steps = []
                found += [line.strip("- ")] if line != "---" else []
            elif line.startswith("  -> ["):
                steps.append(line.partition("[")[2].rpartition("] ")[0])
        return found


@contextmanager
def watched(folder: Path, *words: str, **env: str) -> Iterator[Watching]:
    """`stepwave run WORDS --watch`, ended by Ctrl-C; in ASCII, where a headline begins with `---`."""
    with started("run", *words, "--watch", cwd=folder, env={"LANG": "C", "PYTHONUTF8": "0", **env}) as process:
        yield Watching(process, folder)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == -signal.SIGINT


def built(folder: Path) -> None:
    flow(folder, BUILD)
    (folder / "src" / "deep").mkdir(parents=True)
    (folder / "src" / "a.c").write_text("a\n")
    (folder / "src" / "deep" / "b.c").write_text("b\n")


def test_what_a_changed_file_affects_runs_again(tmp_path: Path) -> None:
    built(tmp_path)
    with watched(tmp_path, "flow.yaml", "-j2", LANG="C.UTF-8", PYTHONUTF8="1") as watch:
        assert "✓ Workflow complete" in watch.heard()
        (tmp_path / "src" / "a.c").write_text("A\n")
        assert watch.heard() == say(
            """

            ─── src/a.c changed: compile, then 2 steps that need it ───

            ✓ Loading workflow: Build
            ✓ Building dependency graph (4 steps, 2 dependencies)
            ✓ Initializing worker pool (max_workers=2)

            ⟳ Executing steps in parallel:
              ✓ [alone] Reused (run <run>)
              → [compile] Starting...
              ✓ [compile] Complete (<t>)
              → [pack] Starting...
              ✓ [pack] Complete (<t>)
              → [greet] Starting...
              ✓ [greet] Complete (<t>)

            ✓ All steps complete

              Step  Outcome  Time  Wave
            ✓ compile  completed <t>  1
            ✓ pack  completed <t>  2
            ✓ greet  completed <t>  3
            ✓ alone  completed  1  reused from run <run>

            Parallel statistics
              total groups  3 (3 executed)
              peak concurrency  1 of 2
              sequential time <t>
              wall time <t> (<n>% saved)
              critical path <t>: compile → pack → greet

            ✓ Workflow complete in <t>
              Logs: <here>/.stepwave/runs/<run>/logs

            Watching the workflow file and 3 files that its steps read. Ctrl-C ends.
            """
        )
    assert (tmp_path / "app.txt").read_text() == "A\nb\n"


def test_files_that_come_go_and_are_renamed_into_place(tmp_path: Path) -> None:
    built(tmp_path)
    source = tmp_path / "src"
    all_three = ["compile", "greet", "pack"]
    with watched(tmp_path, "flow.yaml") as watch:
        assert watch.runs() == ["alone", *all_three]
        (source / "more" / "and").mkdir(parents=True)
        (source / "more" / "and" / "c.c").write_text("c\n")
        assert watch.runs() == ["src/more/and/c.c is new: compile, then 2 steps that need it", *all_three]
        (source / "a.c.new").write_text("A\n")  # as most editors save
        (source / "a.c.new").rename(source / "a.c")
        assert watch.runs() == ["src/a.c changed: compile, then 2 steps that need it", *all_three]
        (source / "deep" / "b.c").unlink()
        assert watch.runs() == ["src/deep/b.c is gone: compile, then 2 steps that need it", *all_three]
        shutil.rmtree(source)
        heard = watch.runs()
        assert heard == ["src/a.c and src/more/and/c.c are gone: compile, then 2 steps that need it", *all_three]
        source.mkdir()
        (source / "z.c").write_text("z\n")
        assert watch.runs() == ["src/z.c is new: compile, then 2 steps that need it", *all_three]
        (tmp_path / "out" / "app").unlink()  # an output, which is an input of another step
        assert watch.runs() == ["out/app is gone: pack, then 1 step that needs it", "compile"]
    assert (tmp_path / "app.txt").read_text() == "z\n"


def test_what_a_link_leads_to_and_a_folder_that_goes_and_comes_back(tmp_path: Path) -> None:
    here, real = tmp_path / "here", tmp_path / "real.txt"

    def made() -> None:
        here.mkdir()
        flow(here, "steps: [{id: a, inputs: [link.txt], run: cat link.txt}]")
        (here / "link.txt").symlink_to("../real.txt")

    real.write_text("1")
    made()
    with watched(here, "flow.yaml") as watch:
        watch.heard()
        real.write_text("22")
        assert watch.runs() == ["link.txt changed: a", "a"]
        shutil.rmtree(here)
        assert "error[cannot-read]: `flow.yaml` does not exist" in watch.heard()
        made()
        watch.heard()  # the workflow may be there a moment before the rest of it
        assert (here / ".stepwave").is_dir()


def test_a_burst_is_one_change(tmp_path: Path) -> None:
    built(tmp_path)
    with watched(tmp_path, "flow.yaml", "--only", "compile") as watch:
        assert watch.runs() == ["compile"]
        for number in range(300):
            (tmp_path / "src" / f"n{number:03}.c").write_text(f"{number}\n")
        assert watch.runs() == ["src/n000.c, src/n001.c, src/n002.c and 297 more are new: compile", "compile"]


def test_the_workflow_changes_is_wrong_and_is_right_again(tmp_path: Path) -> None:
    built(tmp_path)
    with watched(tmp_path, "flow.yaml") as watch:
        watch.heard()
        flow(tmp_path, BUILD.replace("echo alone", "echo both"))
        told = watch.heard()
        assert told.startswith("\n--- flow.yaml changed ---\n\n  alone: run changed\n\nOK Loading workflow: Build\n")
        assert told.count("-> [") == 1
        flow(tmp_path, BUILD.replace("dependsOn: pack", "dependsOn: packed"))
        assert watch.heard() == say(
            """

            --- flow.yaml changed ---

            error[unknown-step]: Step "greet" depends on non-existent step: packed
             --> flow.yaml:9:28
              |
            9 |  - {id: greet, dependsOn: packed, run: cat app.txt}
              |  ^^^^^^
              = help: did you mean `pack`?

            1 error in flow.yaml

            Waiting for the workflow file to change. Ctrl-C ends.
            """
        )
        (tmp_path / "flow.yaml").unlink()
        assert "error[cannot-read]: `flow.yaml` does not exist" in watch.heard()
        flow(tmp_path, BUILD.replace("echo alone", "echo both"))
        assert watch.runs() == ["flow.yaml is new"]  # nothing is left to do


def test_everything_that_the_workflow_is_made_of(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    flow(tmp_path / "lib", "steps: [{id: one, run: echo 1}]", "lib.yaml")
    flow(
        tmp_path,
        """
        name: Parts
        include: lib/lib.yaml
        dotenv: [settings.env, "later.env?"]
        steps:
          - {id: two, run: 'echo {{greeting}} $NAME'}
        """,
    )
    (tmp_path / "settings.env").write_text("NAME=one\n")
    (tmp_path / "vars.json").write_text('{"greeting": "hello"}')
    with watched(tmp_path, "flow.yaml", "--vars", "@vars.json") as watch:
        told = watch.heard()
        assert told.endswith(
            "Watching the 4 files of the workflow; no step says what it reads (`inputs`). Ctrl-C ends.\n"
        )
        flow(tmp_path / "lib", "steps: [{id: one, run: echo 2}]", "lib.yaml")
        assert watch.runs() == ["lib/lib.yaml changed", "lib.one"]
        (tmp_path / "settings.env").write_text("NAME=other\n")
        assert watch.runs() == ["settings.env changed", "lib.one", "two"]
        (tmp_path / "later.env").write_text("NAME=third\n")
        assert watch.runs() == ["later.env is new", "lib.one", "two"]
        (tmp_path / "vars.json").write_text('{"greeting": "hi"}')
        assert watch.runs() == ["vars.json changed", "two"]


def test_a_workstream_that_is_added_to_a_folder(tmp_path: Path) -> None:
    streams = tmp_path / "streams"
    streams.mkdir()
    flow(streams, "{id: one, steps: [{id: a, run: date}]}", "one.yaml")
    with watched(tmp_path, "streams") as watch:
        watch.heard()
        flow(streams, "{id: two, steps: [{id: a, run: date}]}", "two.yaml")
        assert watch.runs() == ["streams/two.yaml is new", "two.a"]


def test_steps_that_know_only_when_they_run_what_they_read(tmp_path: Path) -> None:
    flow(
        tmp_path,
        """
        name: Late
        steps:
          - {id: which, run: echo data.txt}
          - {id: read, dependsOn: which, inputs: ["{{steps.which.output}}"], run: cat data.txt}
          - {id: each, forEach: [x, y], inputs: ["{{item}}.txt"], run: "cat {{item}}.txt"}
        """,
    )
    for name in ("data", "x", "y"):
        (tmp_path / f"{name}.txt").write_text(name)
    with watched(tmp_path, "flow.yaml") as watch:
        assert watch.heard().endswith("Watching the workflow file and 3 files that its steps read. Ctrl-C ends.\n")
        (tmp_path / "data.txt").write_text("new")
        assert watch.runs() == ["data.txt changed: read", "read"]
        (tmp_path / "y.txt").write_text("new")
        assert watch.runs() == ["y.txt changed: each[y]", "each[y]"]


def test_a_change_during_a_run_makes_another_one_when_it_has_ended(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    flow(
        tmp_path,
        f"""
        name: Slow
        steps:
          - id: slow
            inputs: [a.txt]
            run: |
              if test -e held; then rm held; {gate.hold}; {gate.wait}; fi
              cat a.txt
          - {{id: next, dependsOn: slow, run: echo next}}
        """,
    )
    (tmp_path / "a.txt").write_text("1")
    with watched(tmp_path, "flow.yaml") as watch:
        watch.heard()
        (tmp_path / "held").touch()
        (tmp_path / "a.txt").write_text("2")
        gate.arrived()
        (tmp_path / "a.txt").write_text("3")
        gate.open()
        line = "a.txt changed: slow, then 1 step that needs it"
        assert watch.runs() == [line, "next", "slow", line, "next", "slow"]


def test_a_run_that_changes_what_it_reads_does_not_run_for_ever(tmp_path: Path) -> None:
    flow(
        tmp_path,
        """
        name: Loop
        steps:
          - {id: stamp, inputs: [a.txt, stamp.txt], run: date +%s%N >> stamp.txt}
          - {id: copy, inputs: [a.txt], outputs: [b.txt], run: cp a.txt b.txt}
        """,
    )
    (tmp_path / "a.txt").write_text("1")
    (tmp_path / "stamp.txt").touch()
    again = ["stamp.txt changed: stamp", "stamp"]
    with watched(tmp_path, "flow.yaml") as watch:
        first = watch.heard()
        assert first.count("stamp.txt changed: stamp ---") == 2
        assert (
            "stamp.txt changes in every run, which is no reason for another one. A step that makes it should say so in"
            " its `outputs`.\n" in first
        )
        (tmp_path / "a.txt").write_text("2")
        assert watch.runs() == ["a.txt changed: stamp and copy", "copy", "stamp"]
        with (tmp_path / "stamp.txt").open("a") as file:  # by a person
            file.write("x\n")
        assert watch.runs() == again * 3


def test_what_the_command_line_asks_for_is_no_reason_to_run(tmp_path: Path) -> None:
    flow(tmp_path, "steps: [{id: a, inputs: ['*.txt', '*.xml'], run: date}]")
    (tmp_path / "a.txt").touch()
    with watched(tmp_path, "flow.yaml", "--junit", "junit.xml", "--output", "result.txt", "-q") as watch:
        # With --quiet nothing is said of the waiting: the verdicts are what there is.
        first_lines(watch.process.stderr, lambda line: "Workflow complete" in line)
        (tmp_path / "b.txt").touch()
        lines = first_lines(watch.process.stderr, lambda line: "Workflow complete" in line)
        assert [line for line in lines if line.startswith("---")] == ["--- b.txt is new: a ---"]
        assert (tmp_path / "junit.xml").exists()


def test_a_failure_is_tried_again_when_something_changes(tmp_path: Path) -> None:
    flow(
        tmp_path,
        """
        name: Tries
        steps:
          - {id: test, inputs: [code.txt], run: grep -q good code.txt}
          - {id: ship, dependsOn: test, run: echo shipped}
        """,
    )
    (tmp_path / "code.txt").write_text("bad")
    with watched(tmp_path, "flow.yaml") as watch:
        assert "FAIL Workflow failed" in watch.heard()
        (tmp_path / "code.txt").write_text("good")
        told = watch.heard()
        assert "OK [ship] Complete" in told


# --- the end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"])
def test_ctrl_c_during_a_run_ends_the_watch(number: signal.Signals, code: int, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    flow(tmp_path, f'steps: [{{id: a, run: "{gate.hold}; {gate.wait}"}}]')
    with started("run", "flow.yaml", "--watch", cwd=tmp_path) as process:
        gate.arrived()
        process.send_signal(number)
        _, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == code
    gate.all_gone()
    assert err.decode().count("Workflow cancelled") == 1
    assert b"Watching" not in err


@pytest.mark.parametrize("busy", [True, False], ids=["during a run", "between two"])
def test_kill_leaves_nothing_behind(busy: bool, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    flow(tmp_path, f'steps: [{{id: a, run: "{gate.hold}; {gate.wait if busy else "true"}"}}]')
    with started("run", "flow.yaml", "--watch", cwd=tmp_path) as process:
        gate.arrived()
        if not busy:
            first_lines(process.stderr, lambda line: line.startswith("Watching"))
        process.kill()
        process.wait(PATIENCE_S)
    gate.all_gone()


def test_ctrl_c_ends_it_also_where_it_was_ignored(tmp_path: Path) -> None:
    """As in the background of a script: `run` hears it there, too."""
    flow(tmp_path, "steps: [{id: a, run: date}]")
    environ = clean_environment(tmp_path)
    shell = f"trap '' INT; exec {sys.executable} -m stepwave run flow.yaml --watch"
    with subprocess.Popen(["/bin/sh", "-c", shell], cwd=tmp_path, env=environ, stderr=subprocess.PIPE) as process:
        first_lines(process.stderr, lambda line: line.startswith("Watching"))
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == -signal.SIGINT
    assert_alone(environ[MARK])


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--dry-run"], "`--watch` and `--dry-run` exclude each other"),
        (["--json"], "`--watch` and `--json` exclude each other"),
        (["--no-ledger"], "`--watch` and `--no-ledger` exclude each other"),
        (["--output", "-"], "`--watch` and `--output -` exclude each other"),
        (["--junit=-"], "`--watch` and `--junit -` exclude each other"),
        (["-j0"], "`-j 0` is neither a number from 1 nor `auto`"),
        (["--only", "b"], "--only names `b`, which is not in this workflow"),
    ],
)
def test_what_is_wrong_with_the_command_line_ends_it(words: list[str], said: str, tmp_path: Path) -> None:
    flow(tmp_path, "steps: [{id: a, run: touch ran}]")
    ended = stepwave("run", "flow.yaml", "--watch", *words, cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert not (tmp_path / "ran").exists()


def test_a_file_that_is_not_there_or_no_file_ends_it(tmp_path: Path) -> None:
    ended = stepwave("run", "gone.yaml", "--watch", cwd=tmp_path)
    assert (ended.code, "`gone.yaml` does not exist" in ended.err) == (2, True)
    ended = stepwave("run", "-", "--watch", cwd=tmp_path, stdin="steps: []")
    assert (ended.code, "`--watch` needs a file" in ended.err) == (2, True)


def test_without_watchfiles_it_says_what_to_install(tmp_path: Path) -> None:
    flow(tmp_path, '{"steps": [{"id": "a", "run": "date"}]}', "flow.json")
    program = f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r}); from stepwave.cli import main; main()"
    words = (sys.executable, "-I", "-S", "-c", program)
    ended = stepwave("run", "flow.json", "--watch", cwd=tmp_path, command=words)
    assert (ended.code, ended.out, ended.err) == (
        2,
        "",
        "error[bad-option]: `--watch` needs the package watchfiles, which is not installed\n"
        " --> command line\n"
        "  = help: pip install 'stepwave[watch]'\n\n"
        "1 error on the command line\n",
    )
