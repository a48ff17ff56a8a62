"""`inputs` and `outputs`: a step of which nothing has changed is not run again. Real runs and real files."""

import os
import signal
from pathlib import Path

import pytest

from tests.cli.invoke import Gate, flow, normal, run_folders, say, started, stepwave
from tests.cli.test_resume import LOG, ran

BUILD = f"""
    name: Build
    variables: {{flags: -O1}}
    steps:
      - id: compile
        inputs: [src/*.c, Makefile]
        outputs: [out/app]
        env: {{CC: gcc}}
        run: |
          {LOG}
          mkdir -p out; cat src/*.c > out/app; echo {{{{flags}}}} $CC >> out/app
      - id: package
        dependsOn: compile
        inputs: [out/app]
        outputs: [app.tar]
        run: '{LOG}; cat out/app > app.tar'
      - {{id: always, dependsOn: package, run: '{LOG}'}}
"""


def built(folder: Path, text: str = BUILD) -> None:
    (folder / "src").mkdir()
    (folder / "src" / "a.c").write_text("a\n")
    (folder / "Makefile").write_text("m\n")
    flow(folder, text)
    assert runs(folder) == ["compile", "package", "always"]


def runs(folder: Path, *words: str, code: int = 0, **env: str) -> list[str]:
    """What a run of the file ran."""
    ended = stepwave("run", "flow.yaml", "-q", *words, cwd=folder, env=env)
    assert ended.code == code, ended.err
    return ran(folder)


def test_a_step_of_which_nothing_has_changed_is_reused(tmp_path: Path) -> None:
    built(tmp_path)
    first = run_folders(tmp_path)[0].name
    ended = stepwave("run", "flow.yaml", cwd=tmp_path)
    assert ran(tmp_path) == ["always"]
    assert ended.err.count(f"Reused (run {first})") == 2
    assert normal(ended.err, tmp_path).partition("\nParallel")[0] == say("""
        ✓ Loading workflow: Build
        ✓ Building dependency graph (3 steps, 2 dependencies)
        ✓ Initializing worker pool (max_workers=4)

        ⟳ Executing steps in parallel:
          ✓ [compile] Reused (run <run>)
          ✓ [package] Reused (run <run>)
          → [always] Starting...
          ✓ [always] Complete (<t>)

        ✓ All steps complete

          Step  Outcome  Time  Wave
        ✓ compile  completed  1  reused from run <run>
        ✓ package  completed  2  reused from run <run>
        ✓ always  completed <t>  3
        """)


def test_contents_count_and_not_times(tmp_path: Path) -> None:
    built(tmp_path)
    for path in ("src/a.c", "Makefile", "out/app"):
        os.utime(tmp_path / path, (1, 1))
        (tmp_path / path).write_bytes((tmp_path / path).read_bytes())
    assert runs(tmp_path) == ["always"]


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("src/a.c", "b\n", ["compile", "package"]),
        ("src/b.c", "b\n", ["compile", "package"]),
        ("Makefile", "n\n", ["compile"]),  # what it makes is the same: package is reused
        ("out/app", "x\n", ["compile"]),
        ("app.tar", None, ["package"]),
        ("out/app", None, ["compile"]),
        ("src/a.h", "no input\n", []),
    ],
)
def test_a_change_runs_what_hangs_on_it(tmp_path: Path, path: str, text: str | None, expected: list[str]) -> None:
    built(tmp_path)
    if text is None:
        (tmp_path / path).unlink()
    else:
        (tmp_path / path).write_text(text)  # within the same second as the run before it
    assert runs(tmp_path) == [*expected, "always"]
    assert runs(tmp_path) == ["always"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("CC: gcc", "CC: clang", ["compile", "package"]),
        ("-O1", "-O2", ["compile", "package"]),
        ("mkdir -p out;", "mkdir -p out; :;", ["compile"]),
        ("inputs: [src/*.c, Makefile]", "inputs: [src/*.c]", ["compile"]),
        ("outputs: [app.tar]", "outputs: [app.*]", ["package"]),
        ("name: Build", "name: Other", []),
        ("id: compile", "id: compile\n        timeout: 50000\n        retries: 2\n        priority: 3", []),
    ],
)
def test_a_change_of_the_file_runs_what_it_is_of(tmp_path: Path, old: str, new: str, expected: list[str]) -> None:
    built(tmp_path)
    flow(tmp_path, BUILD.replace(old, new))
    assert runs(tmp_path) == [*expected, "always"]


def test_the_environment_counts_where_the_step_declares_it(tmp_path: Path) -> None:
    text = BUILD.replace("CC: gcc", "CC: '{{env.CC}}'")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.c").touch()
    (tmp_path / "Makefile").touch()
    flow(tmp_path, text)
    assert runs(tmp_path, CC="very-private") == ["compile", "package", "always"]
    assert runs(tmp_path, CC="very-private", OTHER="1") == ["always"]
    ledger = b"".join(path.read_bytes() for path in (tmp_path / ".stepwave").glob("ledger.db*"))
    assert b"successes" in ledger
    assert runs(tmp_path, CC="other") == ["compile", "package", "always"]


def test_force_runs_everything_and_learns_from_it(tmp_path: Path) -> None:
    built(tmp_path)
    assert runs(tmp_path, "--force") == ["compile", "package", "always"]
    (tmp_path / "src" / "a.c").write_text("changed\n")
    assert runs(tmp_path, "--force") == ["compile", "package", "always"]
    assert runs(tmp_path) == ["always"]


def test_a_step_that_does_not_say_what_it_reads_always_runs(tmp_path: Path) -> None:
    flow(
        tmp_path, f"steps: [{{id: a, run: '{LOG}; touch made', outputs: [made]}}, {{id: b, inputs: [], run: '{LOG}'}}]"
    )
    assert sorted(runs(tmp_path)) == ["a", "b"]
    assert runs(tmp_path) == ["a"]


def test_an_input_that_is_missing_lets_the_step_run_every_time(tmp_path: Path) -> None:
    flow(tmp_path, f"steps: [{{id: a, run: '{LOG}', inputs: [missing]}}]")
    assert runs(tmp_path) == ["a"]
    assert runs(tmp_path) == ["a"]
    (tmp_path / "missing").touch()
    assert runs(tmp_path) == ["a"]
    assert runs(tmp_path) == []


def test_an_output_that_was_not_made_lets_it_run_every_time(tmp_path: Path) -> None:
    flow(tmp_path, f"steps: [{{id: a, run: '{LOG}', inputs: [], outputs: [never]}}]")
    assert runs(tmp_path) == ["a"]
    assert runs(tmp_path) == ["a"]


def test_a_whole_folder_without_what_stepwave_keeps_in_it(tmp_path: Path) -> None:
    flow(tmp_path, "steps: [{id: a, run: 'echo x > made; echo a >> /dev/stderr', inputs: [.], outputs: [made]}]")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / ".hidden").write_text("1")
    taken = "[a] Reused"
    assert taken not in stepwave("run", "flow.yaml", cwd=tmp_path).err
    assert taken in stepwave("run", "flow.yaml", cwd=tmp_path).err
    (tmp_path / "sub" / ".hidden").write_text("2")
    assert taken not in stepwave("run", "flow.yaml", cwd=tmp_path).err


def test_what_a_reused_step_printed_is_known(tmp_path: Path) -> None:
    text = f"""
    steps:
      - {{id: a, inputs: [in], run: '{LOG}; cat in; echo warned >&2'}}
      - {{id: b, dependsOn: a, inputs: [], run: '{LOG}; echo {{{{steps.a.output}}}}'}}
    """
    flow(tmp_path, text)
    (tmp_path / "in").write_text("one")
    assert runs(tmp_path) == ["a", "b"]
    assert runs(tmp_path) == []
    (tmp_path / "in").write_text("two")
    assert runs(tmp_path) == ["a", "b"]
    flow(tmp_path, text.replace("inputs: []", "inputs: [other]"))
    assert runs(tmp_path) == ["b"]  # with the output that a had


def test_each_combination_is_its_own_step(tmp_path: Path) -> None:
    step = "{id: a, matrix: {os: [x, y]}, inputs: ['{{matrix.os}}.in'], outputs: ['{{matrix.os}}.out'],"
    flow(tmp_path, f"steps: [{step} run: '{LOG}; touch {{{{matrix.os}}}}.out'}}]")
    for name in "xy":
        (tmp_path / f"{name}.in").touch()
    assert sorted(runs(tmp_path)) == ["a[os=x]", "a[os=y]"]
    (tmp_path / "y.in").write_text("new")
    assert runs(tmp_path) == ["a[os=y]"]


def test_the_input_counts_as_it_was_when_the_step_began(tmp_path: Path) -> None:
    """Whoever saves a file while the step runs has a new version of it."""
    flow(
        tmp_path,
        f"steps: [{{id: a, run: '{LOG}; test -e edited || {{ echo new > in; touch edited; }}', inputs: [in]}}]",
    )
    (tmp_path / "in").write_text("old")
    assert runs(tmp_path) == ["a"]
    assert runs(tmp_path) == ["a"]
    assert runs(tmp_path) == []


def test_two_workflows_in_one_folder_do_not_mix(tmp_path: Path) -> None:
    text = f"steps: [{{id: a, run: '{LOG}', inputs: []}}]"
    flow(tmp_path, text)
    assert runs(tmp_path) == ["a"]
    flow(tmp_path, text, "other.yaml")
    assert stepwave("run", "other.yaml", "-q", cwd=tmp_path).code == 0
    assert ran(tmp_path) == ["a"]


def test_what_was_undone_is_not_reused(tmp_path: Path) -> None:
    flow(
        tmp_path,
        f"""
        steps:
          - {{id: a, inputs: [], run: '{LOG}', compensation: {{command: 'true'}}}}
          - {{id: b, dependsOn: a, run: '{LOG}; test ! -e broken'}}
        """,
    )
    assert runs(tmp_path) == ["a", "b"]
    assert runs(tmp_path) == ["b"]
    (tmp_path / "broken").touch()
    assert runs(tmp_path, code=1) == ["b"]
    assert runs(tmp_path, code=1) == ["a", "b"]


def test_without_a_ledger_nothing_is_reused(tmp_path: Path) -> None:
    built(tmp_path)
    assert runs(tmp_path, "--no-ledger") == ["compile", "package", "always"]


# --- outputs of what did not succeed -------------------------------------------------------------------------------

HALF = """
    steps:
      - id: make
        inputs: [in]
        outputs: [out, kept]
        KEEP
        run: |
          test -e kept || echo before > kept
          echo half > out/a
          if [ -e fail ]; then HOW; fi
          echo whole > out/a
"""


def half(folder: Path, how: str = "exit 3", keep: str = "") -> None:
    flow(folder, HALF.replace("HOW", how).replace("KEEP", keep or "name: Make"))
    (folder / "out").mkdir()
    for name in ("out/b", "in", "fail", "kept"):
        (folder / name).write_text("before\n")


def test_half_made_outputs_are_moved_aside(tmp_path: Path) -> None:
    half(tmp_path)
    ended = stepwave("run", "flow.yaml", cwd=tmp_path)
    folder = run_folders(tmp_path)[0]
    assert ended.code == 1
    moved = f".stepwave/runs/{folder.name}/failed-outputs/make.1"
    assert "[make] Failed" in ended.err and f"exit code 3; its outputs were moved to {moved}\n" in ended.err
    assert (folder / "failed-outputs/make.1/out/a").read_text() == "half\n"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b"]  # what it did not touch stays
    assert (tmp_path / "kept").exists()
    assert oct((folder / "failed-outputs").stat().st_mode)[-3:] == "700"


def test_they_stay_where_somebody_wants_them(tmp_path: Path) -> None:
    half(tmp_path, keep="keepOutputs: true")
    ended = stepwave("run", "flow.yaml", cwd=tmp_path)
    assert ended.code == 1 and "moved" not in ended.err
    assert (tmp_path / "out" / "a").read_text() == "half\n"


@pytest.mark.parametrize("how", ["kill -9 $$", "exec sleep 60"])
def test_whatever_ended_the_step(tmp_path: Path, how: str) -> None:
    half(tmp_path, how, "timeout: 300ms")
    ended = stepwave("run", "flow.yaml", cwd=tmp_path)
    assert "its outputs were moved to .stepwave/runs/" in ended.err
    assert not (tmp_path / "out" / "a").exists()


def test_every_attempt_begins_without_what_the_one_before_it_left(tmp_path: Path) -> None:
    half(tmp_path, "rm fail; exit 3", "retries: 1")
    assert stepwave("run", "flow.yaml", "-q", cwd=tmp_path).code == 0
    assert (run_folders(tmp_path)[0] / "failed-outputs/make.1/out/a").read_text() == "half\n"
    assert (tmp_path / "out" / "a").read_text() == "whole\n"


def test_what_a_killed_run_left_half_made_is_moved_aside_before_the_next_attempt(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    half(tmp_path, f"{gate.hold}; {gate.wait}")
    with started("run", "flow.yaml", cwd=tmp_path) as process:
        gate.arrived()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        gate.all_gone()
    (first,) = run_folders(tmp_path)
    assert (tmp_path / "out" / "a").read_text() == "half\n"
    (tmp_path / "fail").unlink()
    assert stepwave("run", "flow.yaml", "-q", cwd=tmp_path).code == 0
    assert (first / "failed-outputs/make.1/out/a").read_text() == "half\n"
    assert (tmp_path / "out" / "a").read_text() == "whole\n"
    assert "Reused" in stepwave("run", "flow.yaml", cwd=tmp_path).err


def test_what_is_made_elsewhere_is_moved_too(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    flow(
        inner,
        "steps: [{id: a/b, run: x}]".replace("a/b", "a").replace(
            "run: x", "run: 'echo x > ../up; exit 1', outputs: [../up]"
        ),
    )
    assert stepwave("run", "flow.yaml", "-q", cwd=inner).code == 1
    assert not (tmp_path / "up").exists()
    assert (run_folders(inner)[0] / f"failed-outputs/a.1/elsewhere{tmp_path}/up").read_text() == "x\n"
