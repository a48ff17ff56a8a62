"""`run --resume` and `retry`: what succeeded stays succeeded, what has changed runs again; killed runs too."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from stepwave.cli.quick import spelled_out
from tests.cli.invoke import Ended, Gate, flow, normal, run_folders, say, started, stepwave

LOG = 'echo "$WORKFLOW_CURRENT_STEP_ID" >> ran'


def ran(folder: Path) -> list[str]:
    """The steps that have run since this was asked the last time, in order."""
    path = folder / "ran"
    steps = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return steps


def last_run(folder: Path) -> str:
    return run_folders(folder)[-1].name


def killed(folder: Path, *words: str, gate: Gate) -> None:
    """Run until a step stands at the gate, then kill -9."""
    with started("run", "flow.yaml", *words, cwd=folder) as process:
        gate.arrived()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        gate.all_gone()


CHAIN = f"""
    name: Chain
    steps:
      - {{id: a, run: '{LOG}'}}
      - {{id: b, dependsOn: a, run: '{LOG}; test ! -e broken'}}
      - {{id: c, dependsOn: b, run: '{LOG}'}}
      - {{id: d, run: '{LOG}'}}
"""


def failed_once(folder: Path, text: str = CHAIN, *words: str) -> list[str]:
    """A run that fails at b; what it ran."""
    flow(folder, text)
    (folder / "broken").touch()
    assert stepwave("run", "flow.yaml", "-q", "-k", "-j1", *words, cwd=folder).code == 1
    (folder / "broken").unlink()
    return ran(folder)


def test_what_succeeded_is_taken_over_and_told(tmp_path: Path) -> None:
    assert sorted(failed_once(tmp_path)) == ["a", "b", "d"]
    first = last_run(tmp_path)
    ended = stepwave("run", "flow.yaml", "--resume", cwd=tmp_path)
    assert ended.code == 0
    assert ran(tmp_path) == ["b", "c"]
    assert normal(ended.err, tmp_path).partition("\nParallel")[0] == say("""
        Taking up run <run>: 2 of 4 steps done

        ✓ Loading workflow: Chain
        ✓ Building dependency graph (4 steps, 2 dependencies)
        ✓ Initializing worker pool (max_workers=1)

        ⟳ Executing steps one at a time:
          ✓ [a] Reused (run <run>)
          ✓ [d] Reused (run <run>)
          → [b] Starting...
          ✓ [b] Complete (<t>)
          → [c] Starting...
          ✓ [c] Complete (<t>)

        ✓ All steps complete

          Step  Outcome  Time  Wave
        ✓ a  completed  1  reused from run <run>
        ✓ b  completed <t>  2
        ✓ c  completed <t>  3
        ✓ d  completed  1  reused from run <run>
        """)
    assert ended.err.count(first) == 5


def test_nothing_is_left_to_resume_after_a_success(tmp_path: Path) -> None:
    failed_once(tmp_path)
    assert stepwave("run", "flow.yaml", "--resume", "-q", cwd=tmp_path).code == 0
    ended = stepwave("run", "flow.yaml", "--resume", cwd=tmp_path)
    assert ended == Ended(
        2,
        "",
        say("""
        error[nothing-to-resume]: there is no run of `flow.yaml` that could be taken up again
         --> command line
          = help: every one of them has succeeded, or was taken up already; `stepwave runs` lists them

        1 error on the command line
        """),
    )


@pytest.mark.parametrize(
    "words", [("--resume", "flow.yaml"), ("flow.yaml", "--resume=latest"), ("--resume", "ID", "flow.yaml")]
)
def test_the_run_may_be_left_out(tmp_path: Path, words: tuple[str, ...]) -> None:
    failed_once(tmp_path)
    named = [last_run(tmp_path) if word == "ID" else word for word in words]
    assert stepwave("run", *named, "-q", cwd=tmp_path).code == 0
    assert ran(tmp_path) == ["b", "c"]


def test_an_option_without_its_value() -> None:
    assert spelled_out(["run", "--resume"]) == ["run", "--resume=latest"]
    assert spelled_out(["run", "--resume", "x.yaml"]) == ["run", "--resume=latest", "x.yaml"]
    for run in ("latest", "20260131-142503-7f3a9c", "20260131"):
        assert spelled_out(["run", "--resume", run, "x"]) == ["run", "--resume", run, "x"]
    assert spelled_out(["retry", "--resume"]) == ["retry", "--resume"]


# --- killed runs ---------------------------------------------------------------------------------------------------


def gated(gate: Gate) -> str:
    hold = f"if [ -e gated ]; then {gate.hold}; {gate.wait}; fi"
    return f"""
    name: Gated
    steps:
      - {{id: a, run: '{LOG}'}}
      - {{id: b, dependsOn: a, run: '{LOG}'}}
      - id: c
        dependsOn: b
        run: |
          {LOG}
          {hold}
      - {{id: d, dependsOn: c, run: '{LOG}'}}
    """


def test_after_kill_9_only_what_was_running_is_repeated(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    flow(tmp_path, gated(gate))
    (tmp_path / "gated").touch()
    killed(tmp_path, gate=gate)
    assert ran(tmp_path) == ["a", "b", "c"]
    killed(tmp_path, "--resume", gate=gate)
    assert ran(tmp_path) == ["c"]
    (tmp_path / "gated").unlink()
    ended = stepwave("run", "flow.yaml", "--resume", cwd=tmp_path)
    assert (ended.code, ran(tmp_path)) == (0, ["c", "d"])
    first = run_folders(tmp_path)[0].name
    assert ended.err.count(f"[a] Reused (run {first})") == 1  # two runs later it is still the run that ran it


def test_what_the_first_resume_did_not_come_to_is_not_lost(tmp_path: Path) -> None:
    """It was killed before it had taken over everything: the second one knows of the first run, too."""
    gate = Gate(tmp_path)
    text = f"""
    name: Two
    parallel: {{defaultMaxConcurrency: 1}}
    steps:
      - id: first
        priority: 1
        run: |
          {LOG}
          test -e second-time || exit 1
          {gate.hold}; {gate.wait}
      - {{id: early, run: '{LOG}'}}
      - {{id: late, dependsOn: [early, again], run: '{LOG}'}}
      - {{id: again, run: '{LOG}; test -e second-time'}}
    """
    flow(tmp_path, text)
    assert stepwave("run", "flow.yaml", "-q", "-k", cwd=tmp_path).code == 1
    assert sorted(ran(tmp_path)) == ["again", "early", "first"]
    (tmp_path / "second-time").touch()
    killed(tmp_path, "--resume", gate=gate)
    assert "early" not in ran(tmp_path)
    flow(tmp_path, text.replace(f"{gate.hold}; {gate.wait}", ""))
    assert stepwave("run", "flow.yaml", "--resume", "-q", cwd=tmp_path).code == 0
    assert "early" not in ran(tmp_path)


def test_a_success_does_not_outlive_a_later_run_of_what_it_needs(tmp_path: Path) -> None:
    """Run 1 completes base and top. Run 2 runs the changed base again, and is killed before top. Run 3 must run top."""
    gate = Gate(tmp_path)
    text = f"""
    name: Stale
    parallel: {{defaultMaxConcurrency: 1}}
    steps:
      - {{id: base, run: '{LOG}; : one'}}
      - id: slow
        dependsOn: base
        run: |
          {LOG}
          # gate
      - {{id: top, dependsOn: [base, slow], run: '{LOG}'}}
      - {{id: broken, dependsOn: top, run: '{LOG}; false'}}
    """
    flow(tmp_path, text)
    assert stepwave("run", "flow.yaml", "-q", cwd=tmp_path).code == 1
    assert ran(tmp_path) == ["base", "slow", "top", "broken"]
    flow(tmp_path, text.replace(": one", ": two").replace("    # gate", f"    {gate.hold}; {gate.wait}"))
    killed(tmp_path, "--resume", gate=gate)
    assert ran(tmp_path) == ["base", "slow"]
    flow(tmp_path, text.replace(": one", ": two").replace("false", "true"))
    assert stepwave("run", "flow.yaml", "--resume", "-q", cwd=tmp_path).code == 0
    assert ran(tmp_path) == ["slow", "top", "broken"]


def test_a_step_that_was_begun_again_and_not_ended_has_not_succeeded(tmp_path: Path) -> None:
    """Its file is as it was in run 1, but run 2 had begun another version of it."""
    gate = Gate(tmp_path)
    text = f"""
    name: Back
    steps:
      - id: a
        run: |
          {LOG}
      - {{id: b, dependsOn: a, run: '{LOG}; test -e good'}}
    """
    flow(tmp_path, text)
    assert stepwave("run", "flow.yaml", "-q", cwd=tmp_path).code == 1
    flow(tmp_path, text.replace(f"{LOG}\n      - ", f"{LOG}\n          {gate.hold}; {gate.wait}\n      - "))
    ran(tmp_path)
    killed(tmp_path, "--resume", gate=gate)
    assert ran(tmp_path) == ["a"]
    flow(tmp_path, text)
    (tmp_path / "good").touch()
    assert stepwave("run", "flow.yaml", "--resume", "-q", cwd=tmp_path).code == 0
    assert ran(tmp_path) == ["a", "b"]


def test_a_run_that_goes_on_is_not_taken_up(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    flow(tmp_path, gated(gate))
    (tmp_path / "gated").touch()
    with started("run", "flow.yaml", cwd=tmp_path) as process:
        gate.arrived()
        with started("run", "flow.yaml", "--resume", cwd=tmp_path) as second:
            _, err = second.communicate()
        assert second.returncode == 2
        assert f"run {last_run(tmp_path)} is still going on (process {process.pid})".encode() in err
        gate.open()
        process.communicate()
        assert process.returncode == 0


# --- what has changed ----------------------------------------------------------------------------------------------


def test_what_has_changed_is_told_and_runs_again(tmp_path: Path) -> None:
    text = f"""
    name: Edited
    variables: {{version: 1}}
    env: {{CC: gcc}}
    steps:
      - {{id: a, run: '{LOG}; echo {{{{version}}}}'}}
      - {{id: b, run: '{LOG}', env: {{CC: icc}}}}
      - {{id: needs-b, dependsOn: b, run: '{LOG}'}}
      - {{id: c, run: '{LOG}', timeout: 60000, retries: 1, name: See}}
      - {{id: old, run: '{LOG}'}}
      - {{id: bad, dependsOn: [a, b], run: '{LOG}; false'}}
    """
    flow(tmp_path, text)
    assert stepwave("run", "flow.yaml", "-q", "-k", cwd=tmp_path).code == 1
    ran(tmp_path)
    edited = text.replace("version: 1", "version: 2").replace("CC: icc", "CC: clang").replace("60000", "50000")
    edited = edited.replace("name: See", "name: Saw").replace("id: old", "id: new").replace("; false", "; true")
    flow(tmp_path, edited)
    ended = stepwave("run", "flow.yaml", "--resume", cwd=tmp_path)
    assert ended.code == 0
    assert sorted(ran(tmp_path)) == ["a", "b", "bad", "needs-b", "new"]
    assert normal(ended.err).partition("\n\n")[0] == say("""
        Taking up run <run>: 2 of 6 steps done
          a: variable version: 1 -> 2
          b: env CC: icc -> clang
          new: is new
          bad: run changed
          old: is gone""")


def test_variables_are_those_of_the_run_and_a_new_one_is_a_change(tmp_path: Path) -> None:
    text = CHAIN.replace("id: a, run: '", "id: a, run: 'echo {{v}} >> values; ")
    failed_once(tmp_path, text, "--var", "v=7")
    assert stepwave("run", "flow.yaml", "--resume", "-q", cwd=tmp_path).code == 0
    assert ran(tmp_path) == ["b", "c"]
    failed_once(tmp_path, text, "--vars", '{"v": [1]}')
    ended = stepwave("run", "flow.yaml", "--resume", "--var", "v=8", cwd=tmp_path)
    assert ended.code == 0
    assert ran(tmp_path) == ["a", "b", "c"]
    assert "\n  a: variable v: [1] -> 8\n" in ended.err
    assert (tmp_path / "values").read_text() == "7\n[1]\n8\n"


def test_the_options_are_those_of_the_run(tmp_path: Path) -> None:
    failed_once(tmp_path, CHAIN, "--skip", "d", "--timeout", "77")
    ended = stepwave("run", "flow.yaml", "--resume", "--json", cwd=tmp_path)
    assert ran(tmp_path) == ["b", "c"]
    assert "max_workers=1)" in ended.err and "[d] Skipped: not selected" in ended.err
    failed_once(tmp_path, CHAIN, "--skip", "d")
    assert stepwave("run", "flow.yaml", "--resume", "--skip", "c", "-q", cwd=tmp_path).code == 0
    assert sorted(ran(tmp_path)) == ["b", "d"]


def test_a_file_that_was_moved_is_told(tmp_path: Path) -> None:
    failed_once(tmp_path)
    first = last_run(tmp_path)
    (tmp_path / "flow.yaml").rename(tmp_path / "moved.yaml")
    ended = stepwave("run", "moved.yaml", "--resume", first, cwd=tmp_path)
    assert (ended.code, ran(tmp_path)) == (0, ["b", "c"])
    assert f"Taking up run {first}: 2 of 4 steps done\n  it was of {tmp_path}/flow.yaml\n" in ended.err


def test_a_folder_that_was_moved_is_found(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    failed_once(tmp_path / "one")
    (tmp_path / "one").rename(tmp_path / "two")
    ended = stepwave("run", "flow.yaml", "--resume", cwd=tmp_path / "two")
    assert (ended.code, ran(tmp_path / "two")) == (0, ["b", "c"])
    assert f"it was of {tmp_path}/one/flow.yaml" in ended.err


# --- kinds of steps ------------------------------------------------------------------------------------------------


def test_what_a_step_printed_is_known_to_those_that_refer_to_it(tmp_path: Path) -> None:
    text = f"""
    name: Printed
    steps:
      - {{id: a, run: '{LOG}; echo "[1, 2]"; echo careful >&2'}}
      - id: b
        dependsOn: a
        run: |
          {LOG}
          echo {{{{steps.a.output}}}} {{{{steps.a.stderr}}}} {{{{steps.a.exitCode}}}}; cat {{{{steps.a.stdoutPath}}}}
          test ! -e broken
    """
    failed_once(tmp_path, text)
    ended = stepwave("run", "flow.yaml", "--resume", "--json", cwd=tmp_path)
    assert (ended.code, ran(tmp_path)) == (0, ["b"])
    assert '"output": "[1,2] careful 0\\n[1, 2]\\n"' in ended.out
    failed_once(tmp_path, text)
    shutil.rmtree(run_folders(tmp_path)[-1] / "logs")
    assert stepwave("run", "flow.yaml", "--resume", "-q", cwd=tmp_path).code == 0
    assert ran(tmp_path) == ["a", "b"]  # what it printed is gone


def test_the_parts_of_a_list_are_taken_over_one_by_one(tmp_path: Path) -> None:
    text = f"""
    name: Parts
    steps:
      - {{id: find, run: '{LOG}; cat items'}}
      - id: each
        dependsOn: find
        forEach: '{{{{steps.find.output}}}}'
        run: '{LOG}; test {{{{item}}}} != two || test ! -e broken'
      - {{id: after, dependsOn: each, run: '{LOG}'}}
    """
    (tmp_path / "items").write_text('["one", "two", "three"]')
    assert sorted(failed_once(tmp_path, text)) == ["each[one]", "each[three]", "each[two]", "find"]
    assert stepwave("run", "flow.yaml", "--resume", "-q", cwd=tmp_path).code == 0
    assert ran(tmp_path) == ["each[two]", "after"]


def test_a_list_that_has_grown_runs_what_is_new_in_it(tmp_path: Path) -> None:
    text = f"""
    name: Grown
    steps:
      - id: each
        forEach: [one, two]
        run: '{LOG}'
      - {{id: bad, dependsOn: each, run: 'test ! -e broken'}}
    """
    assert sorted(failed_once(tmp_path, text)) == ["each[one]", "each[two]"]
    flow(tmp_path, text.replace("[one,", "[zero, one,"))
    assert stepwave("run", "flow.yaml", "--resume", "-q", cwd=tmp_path).code == 0
    assert ran(tmp_path) == ["each[zero]"]


def test_conditions_are_asked_and_cleaning_up_is_done_again(tmp_path: Path) -> None:
    text = f"""
    name: Again
    pre_flight_checks: ['echo check >> ran']
    steps:
      - {{id: ask, type: condition, expression: 'true', onTrue: [yes], onFalse: [no]}}
      - {{id: yes, run: '{LOG}'}}
      - {{id: no, run: '{LOG}'}}
      - {{id: bad, dependsOn: yes, run: '{LOG}; test ! -e broken'}}
    finally:
      - {{id: clean, run: '{LOG}'}}
    """
    assert failed_once(tmp_path, text) == ["check", "yes", "bad", "clean"]
    assert stepwave("run", "flow.yaml", "--resume", "-q", cwd=tmp_path).code == 0
    assert ran(tmp_path) == ["check", "bad", "clean"]


def test_what_was_undone_has_not_succeeded(tmp_path: Path) -> None:
    text = f"""
    name: Undone
    steps:
      - {{id: a, run: '{LOG}', compensation: {{command: '{LOG}'}}}}
      - {{id: b, run: '{LOG}'}}
      - {{id: c, dependsOn: [a, b], run: '{LOG}; test ! -e broken'}}
    """
    assert sorted(failed_once(tmp_path, text)) == ["a", "a.undo", "b", "c"]
    assert stepwave("run", "flow.yaml", "--resume", "-q", cwd=tmp_path).code == 0
    assert ran(tmp_path) == ["a", "c"]


PHASES = f"""
    name: Phases
    phases:
      - id: build
        steps:
          - {{id: a, run: '{LOG}'}}
          - {{id: lint, continueOnError: true, run: '{LOG}; false'}}
      - id: test
        steps:
          - {{id: t, run: '{LOG}'}}
          - {{id: u, run: '{LOG}; test ! -e broken'}}
"""


def test_a_run_goes_on_after_a_checkpoint(tmp_path: Path) -> None:
    assert sorted(failed_once(tmp_path, PHASES)) == ["a", "lint", "t", "u"]
    assert stepwave("run", "flow.yaml", "--resume", "-q", cwd=tmp_path).code == 0
    assert sorted(ran(tmp_path)) == ["lint", "t", "u"]  # a failure is tried again, and with it what comes after
    failed_once(tmp_path, PHASES.replace("- id: build", "- id: build\n        checkpoint: true"))
    ended = stepwave("run", "flow.yaml", "--resume", cwd=tmp_path)
    assert (ended.code, ran(tmp_path)) == (0, ["u"])
    assert "[lint] Skipped: not selected" in ended.err


def test_a_phase_that_says_so_begins_anew(tmp_path: Path) -> None:
    failed_once(
        tmp_path, PHASES.replace("; false", "").replace("- id: test", "- id: test\n        resumeStrategy: restart")
    )
    assert stepwave("run", "flow.yaml", "--resume", "-q", cwd=tmp_path).code == 0
    assert sorted(ran(tmp_path)) == ["t", "u"]


def test_outputs_that_are_gone_are_made_again(tmp_path: Path) -> None:
    text = CHAIN.replace(f"id: a, run: '{LOG}", f"id: a, outputs: [made], run: '{LOG}; echo x > made")
    failed_once(tmp_path, text)
    assert stepwave("run", "flow.yaml", "--resume", "-q", cwd=tmp_path).code == 0
    assert ran(tmp_path) == ["b", "c"]
    failed_once(tmp_path, text)
    (tmp_path / "made").unlink()
    assert stepwave("run", "flow.yaml", "--resume", "-q", cwd=tmp_path).code == 0
    assert ran(tmp_path) == ["a", "b", "c"]


# --- retry ---------------------------------------------------------------------------------------------------------


def test_retry_runs_what_failed(tmp_path: Path) -> None:
    failed_once(tmp_path, CHAIN, "--skip", "d")
    first = last_run(tmp_path)
    assert stepwave("retry", "--failed", "-q", cwd=tmp_path).code == 0
    assert ran(tmp_path) == ["b", "c"]
    ended = stepwave("retry", first[:-1], cwd=tmp_path)
    assert (ended.code, ran(tmp_path)) == (0, ["b", "c"])
    assert f"Taking up run {first}: 1 of 4 steps done\n" in ended.err


def test_retry_of_a_step_runs_it_and_what_needs_it(tmp_path: Path) -> None:
    failed_once(tmp_path)
    assert stepwave("run", "flow.yaml", "--resume", "-q", cwd=tmp_path).code == 0
    ran(tmp_path)
    assert stepwave("retry", "--step", "b", "-q", cwd=tmp_path).code == 0
    assert ran(tmp_path) == ["b", "c"]
    assert stepwave("retry", "--step", "d", "--step", "c", "-q", cwd=tmp_path).code == 0
    assert sorted(ran(tmp_path)) == ["c", "d"]
    failed_once(tmp_path)
    ended = stepwave("retry", "--step", "d", cwd=tmp_path)
    assert (ended.code, ran(tmp_path)) == (0, ["d"])  # what had failed beside it stays as it was
    assert "[b] Skipped: not selected" in ended.err


def test_the_name_of_a_matrix_or_a_list_stands_for_all_its_steps(tmp_path: Path) -> None:
    text = f"""
    name: Many
    steps:
      - {{id: m, matrix: {{os: [x, y]}}, run: '{LOG}'}}
      - {{id: find, run: "{LOG.replace('"', "")}; echo '[1, 2]'"}}
      - {{id: each, dependsOn: find, forEach: '{{{{steps.find.output}}}}', run: '{LOG}'}}
    """
    flow(tmp_path, text)
    assert stepwave("run", "flow.yaml", "-q", "-j1", cwd=tmp_path).code == 0
    assert len(ran(tmp_path)) == 5
    assert stepwave("retry", "--step", "m[os=y]", "-q", cwd=tmp_path).code == 0
    assert ran(tmp_path) == ["m[os=y]"]
    assert stepwave("retry", "--step", "m", "-q", cwd=tmp_path).code == 0
    assert sorted(ran(tmp_path)) == ["m[os=x]", "m[os=y]"]
    assert stepwave("retry", "--step", "each", "-q", cwd=tmp_path).code == 0
    assert sorted(ran(tmp_path)) == ["each[1]", "each[2]"]


def test_retry_from_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    failed_once(tmp_path / "sub")
    ended = stepwave("retry", cwd=tmp_path)
    assert ended.code == 2
    assert "error[no-such-run]: no run is recorded here yet" in ended.err
    assert stepwave("retry", "--file", "sub/flow.yaml", "-q", cwd=tmp_path).code == 0
    assert ran(tmp_path / "sub") == ["b", "c"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("retry", "nope"), "no-such-run"),
        (("retry", "--failed", "--step", "a"), "conflicting-options"),
        (("retry", "--step", "nope"), "unknown-step"),
        (("run", "flow.yaml", "--resume=nope"), "no-such-run"),
        (("run", "flow.yaml", "--resume", "--force"), "conflicting-options"),
        (("run", "flow.yaml", "--resume", "--no-ledger"), "conflicting-options"),
    ],
)
def test_what_cannot_be_is_told_before_anything_starts(tmp_path: Path, words: tuple[str, ...], code: str) -> None:
    failed_once(tmp_path)
    ended = stepwave(*words, cwd=tmp_path)
    assert (ended.code, ran(tmp_path)) == (2, [])
    assert f"error[{code}]" in ended.err


def test_a_run_without_a_record_cannot_be_resumed(tmp_path: Path) -> None:
    failed_once(tmp_path, CHAIN, "--no-ledger")
    ended = stepwave("run", "flow.yaml", "--resume", cwd=tmp_path)
    assert ended.code == 2 and "error[nothing-to-resume]" in ended.err
