"""`runs`, `status`, `logs`, `cancel` and `prune`, and what a run does about its record: by real processes."""

import json
import os
import pty
import re
import select
import signal
import sqlite3
import subprocess
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from stepwave.core.text import size_of
from tests.cli.invoke import MODULE, PATIENCE_S, Ended, Gate, end, flow, normal, run_folders, say, started, stepwave

TWO = """
    name: Two things
    steps:
      - {id: a, run: "echo hello; echo oh >&2"}
      - {id: b, needs: a, run: "echo once more; exit 3", retry: {maxAttempts: 2, delay: 1ms}, continueOnError: true}
      - {id: c, needs: b, command: ["true"], condition: "false"}
"""
OK = "{name: fine, steps: [{id: a, command: [echo, hello]}]}"


def plain(text: str, here: Path) -> str:
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "<date>", normal(text, here))


def last(here: Path) -> str:
    return run_folders(here)[-1].name


# --- looking ---------------------------------------------------------------------------------------------------


def test_nothing_is_recorded_yet(tmp_path: Path) -> None:
    ended = stepwave("runs", cwd=tmp_path)
    assert (ended.code, ended.out, ended.err) == (
        0, "", f"stepwave: no runs are recorded in {tmp_path}/.stepwave\n"
    )  # fmt: skip
    assert json.loads(stepwave("runs", "--json", cwd=tmp_path).out) == {"runs": []}
    for words in (["status"], ["logs", "a"], ["cancel"]):
        ended = stepwave(*words, cwd=tmp_path)
        assert ended.code == 2
        assert ended.err == say(
            """
            error[no-such-run]: no run is recorded here yet
             --> command line
              = help: `--file` names the workflow whose runs are meant

            1 error on the command line
            """
        )
    assert stepwave("prune", "--keep", "3", cwd=tmp_path).out == f"deleted 0 runs in {tmp_path}/.stepwave\n"
    assert list(tmp_path.iterdir()) == []


def test_runs_are_listed_the_latest_first(tmp_path: Path) -> None:
    flow(tmp_path, OK, "one.yaml")
    flow(tmp_path, TWO, "two.yaml")
    for name in ("one.yaml", "two.yaml"):
        stepwave("run", "-q", name, cwd=tmp_path)
    assert plain(stepwave("runs", cwd=tmp_path).out, tmp_path) == say(
        """
        RUN  WORKFLOW  STATE  STEPS  STARTED  TIME
        <run>  Two things  completed  1/3  <date> <t>
        <run>  fine  completed  1/1  <date> <t>
        """
    )
    assert len(stepwave("runs", "--limit", "1", cwd=tmp_path).out.splitlines()) == 2
    for name in ("fine", "one.yaml"):
        (run,) = json.loads(stepwave("runs", "--json", "--workflow", name, cwd=tmp_path).out)["runs"]
        assert (run["name"], run["file"]) == ("fine", str(tmp_path / "one.yaml"))
        assert (run["state"], run["exitCode"], run["steps"], run["completed"]) == ("completed", 0, 1, 1)
    assert stepwave("runs", "--workflow", "none", cwd=tmp_path).err.startswith("stepwave: no runs of `none` are")


def test_the_status_of_a_run(tmp_path: Path) -> None:
    flow(tmp_path, TWO)
    stepwave("run", "-q", "flow.yaml", cwd=tmp_path)
    ended = stepwave("status", cwd=tmp_path)
    assert ended.code == 0
    assert plain(ended.out, tmp_path) == say(
        """
        run <run> of Two things: completed (<t>), exit code 0
          file: <here>/flow.yaml
          logs: <here>/.stepwave/runs/<run>

        STEP  STATE  TIME  NOTE
        a  completed <t>
        b  failed <t>  attempt 2, exit code 3, tolerated
        c  skipped  Skipped due to condition
        """
    )
    document = json.loads(stepwave("status", "--json", cwd=tmp_path).out)
    assert document["runId"] == last(tmp_path)
    b = document["stepResults"]["b"]
    assert (b["state"], b["attempts"], b["exitCode"], b["tolerated"]) == ("failed", 2, 3, True)
    assert Path(b["logPath"]).read_text() == "once more\n"
    assert b["usage"]["peakRssBytes"] > 0


def test_a_run_is_named_by_its_beginning_or_its_workflow(tmp_path: Path) -> None:
    flow(tmp_path, OK, "one.yaml")
    flow(tmp_path, TWO, "two.yaml")
    stepwave("run", "-q", "one.yaml", cwd=tmp_path)
    one = last(tmp_path)
    stepwave("run", "-q", "two.yaml", cwd=tmp_path)
    two = next(folder.name for folder in run_folders(tmp_path) if folder.name != one)

    def meant(word: str) -> str:
        return str(json.loads(stepwave("status", word, "--json", cwd=tmp_path).out)["runId"])

    assert [meant(word) for word in (one, one[:-1], "fine", "latest", "two-things")] == [one, one, one, two, two]
    ended = stepwave("status", one[:4], cwd=tmp_path)
    assert ended.code == 2
    assert plain(ended.err, tmp_path) == say(
        f"""
        error[ambiguous-run]: 2 runs begin with `{one[:4]}`: which one?
         --> command line
          = help: `<run>` (two-things), `<run>` (fine)

        1 error on the command line
        """
    )
    ended = stepwave("status", "finne", cwd=tmp_path)
    assert (ended.code, "there is no run `finne`" in ended.err, "did you mean `fine`?" in ended.err) == (2, True, True)


def test_the_state_folder_of_another_workflow(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    flow(tmp_path / "there", OK)
    stepwave("run", "-q", "there/flow.yaml", cwd=tmp_path)
    assert stepwave("status", cwd=tmp_path).code == 2
    for name in ("there/flow.yaml", "there"):
        assert stepwave("status", "--file", name, cwd=tmp_path).code == 0
    assert stepwave("logs", "a", "-f", "there/flow.yaml", cwd=tmp_path).out == "hello\n"
    state = {"STEPWAVE_STATE_DIR": str(tmp_path / "there" / ".stepwave")}
    assert stepwave("logs", "a", cwd=tmp_path, env=state).out == "hello\n"


def test_what_lies_at_home_is_of_other_projects(tmp_path: Path) -> None:
    here, home = tmp_path / "here", tmp_path / "home"
    here.mkdir()
    at_home = {"STEPWAVE_STATE_DIR": str(home / ".local/state/stepwave")}
    flow(tmp_path, OK)
    assert stepwave("run", "-q", "flow.yaml", cwd=tmp_path, env=at_home).code == 0
    assert stepwave("runs", cwd=here, env={"HOME": str(home)}).out == ""
    assert "no run is recorded here yet" in stepwave("retry", cwd=here, env={"HOME": str(home)}).err


def test_another_terminal_sees_a_running_run(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    flow(
        tmp_path,
        f"""
        name: long
        steps:
          - {{id: first, command: ["true"]}}
          - {{id: here, needs: first, run: "{gate.hold}; {gate.wait}"}}
          - {{id: next, needs: here, command: ["true"]}}
        """,
    )
    with started("run", "-q", "flow.yaml", cwd=tmp_path) as process:
        gate.arrived()
        assert plain(stepwave("status", cwd=tmp_path).out, tmp_path) == say(
            """
            run <run> of long: running (<t>)
              file: <here>/flow.yaml
              logs: <here>/.stepwave/runs/<run>

            STEP  STATE  TIME  NOTE
            first  completed <t>
            here  running <t>
            next  waiting
            """
        )
        assert " running  1/3 " in stepwave("runs", cwd=tmp_path).out.replace("    ", "  ").replace("   ", "  ")
        gate.open()
        assert end(process).code == 0
    gate.all_gone()
    assert "here   completed" in stepwave("status", cwd=tmp_path).out


def test_a_run_that_was_killed_is_told_as_that(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    flow(
        tmp_path,
        f'{{name: x, steps: [{{id: a, run: "{gate.hold}; exec sleep 1000"}}, {{id: b, needs: a, run: "true"}}]}}',
    )
    with started("run", "-q", "flow.yaml", cwd=tmp_path) as process:
        gate.arrived()
        process.kill()
        process.wait(PATIENCE_S)
    gate.all_gone()
    assert plain(stepwave("status", cwd=tmp_path).out, tmp_path) == say(
        """
        run <run> of x: died
          file: <here>/flow.yaml
          logs: <here>/.stepwave/runs/<run>

        STEP  STATE  TIME  NOTE
        a  lost
        b  not started
        """
    )


# --- logs ------------------------------------------------------------------------------------------------------


def test_logs_are_printed_as_they_were_written(tmp_path: Path) -> None:
    flow(tmp_path, '{steps: [{id: a, run: "printf \'\\\\033[31mred\\\\000\\\\377\'"}, {id: silent, run: "true"}]}')
    stepwave("run", "-q", "flow.yaml", cwd=tmp_path)
    done = subprocess.run([*MODULE, "logs", "a"], cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout == b"\x1b[31mred\0\xff"
    assert stepwave("logs", "silent", cwd=tmp_path) == (0, "", "")
    document = json.loads(stepwave("logs", "a", "--json", cwd=tmp_path).out)
    assert Path(document["path"]).read_bytes() == done.stdout
    assert (document["attempt"], document["bytes"], document["ended"]) == (1, 10, True)


def test_a_terminal_obeys_nothing_in_a_log(tmp_path: Path) -> None:
    flow(tmp_path, "{steps: [{id: a, run: \"printf 'x\\\\033]0;title\\\\007é'\"}]}")
    stepwave("run", "-q", "flow.yaml", cwd=tmp_path)
    ours, theirs = pty.openpty()
    done = subprocess.run([*MODULE, "logs", "a"], cwd=tmp_path, stdout=theirs, check=True)
    os.close(theirs)
    shown = os.read(ours, 1000)
    os.close(ours)
    assert (done.returncode, shown.decode()) == (0, "x\\x1b]0;title\\x07é")


def test_attempts_and_streams(tmp_path: Path) -> None:
    flow(
        tmp_path,
        """
        steps:
          - {id: a, run: "echo n >> count; echo out; echo err >&2; wc -l < count; test $(wc -l < count) = 2",
             retry: {maxAttempts: 2, delay: 1ms}}
          - {id: b, needs: a, command: [echo, "{{steps.a.stdout}}"]}
        """,
    )
    stepwave("run", "-q", "flow.yaml", cwd=tmp_path)

    def logs(*more: str) -> Ended:
        return stepwave("logs", *more, cwd=tmp_path)

    assert sorted(logs("a").out.split()) == ["2", "err", "out"]
    assert logs("a", "--attempt", "1", "--stdout").out == "out\n1\n"
    assert logs("a", "--stdout").out == "out\n2\n"
    assert logs("a", "--stderr").out == "err\n"
    for words, code, sentence in (
        (["a", "--attempt", "3"], "no-log", "step `a` has had 2 attempts"),
        (["b", "--stderr"], "no-log", "stdout and stderr of step `b` were not kept apart"),
        (["aa"], "unknown-step", "has no step `aa`"),
    ):
        ended = logs(*words)
        assert (ended.code, ended.out) == (2, "")
        assert f"error[{code}]: " in ended.err
        assert sentence in ended.err


def test_of_a_step_that_prints_much_the_newest_is_kept_and_the_rest_is_told(tmp_path: Path) -> None:
    flow(tmp_path, "{name: much, steps: [{id: a, run: 'seq 30000; exit 1', limits: {outputSize: 2KB}}]}")
    ran = stepwave("run", "flow.yaml", cwd=tmp_path)
    assert ran.code == 1
    printed = "".join(f"{n}\n" for n in range(1, 30_001))
    ended = stepwave("logs", "a", cwd=tmp_path)
    assert printed.endswith(ended.out)
    assert 1024 <= len(ended.out) <= 2048
    kb = size_of(len(printed) - len(ended.out))
    assert ended.err == f"stepwave: the first {kb} are not kept (limits.outputSize)\n"
    assert f"[a] the first {kb} of its output are not kept (limits.outputSize)" in ran.err
    document = json.loads(stepwave("logs", "a", "--json", cwd=tmp_path).out)
    assert Path(document["olderPath"]).read_text() + Path(document["path"]).read_text() == ended.out
    assert document["bytes"] == len(ended.out)
    result = json.loads(stepwave("run", "flow.yaml", "--json", cwd=tmp_path).out)["stepResults"]["a"]
    assert result["output"] == stepwave("logs", "a", "--stdout", cwd=tmp_path).out, "all that is kept of it"


def test_the_log_of_a_step_that_another_run_stands_for(tmp_path: Path) -> None:
    flow(tmp_path, "{name: again, steps: [{id: a, run: 'echo hello'}, {id: b, needs: a, run: 'test -e there'}]}")
    assert stepwave("run", "flow.yaml", cwd=tmp_path).code == 1
    first = last(tmp_path)
    (tmp_path / "there").touch()
    assert stepwave("run", "flow.yaml", "--resume", cwd=tmp_path).code == 0
    ended = stepwave("logs", "a", cwd=tmp_path)
    note = f"stepwave: `a` was not run in {last(tmp_path)}: run {first} stands for it\n"
    assert (ended.code, ended.out, ended.err) == (0, "hello\n", note)
    assert json.loads(stepwave("logs", "a", "--json", cwd=tmp_path).out)["standsFor"] == last(tmp_path)
    document = json.loads(stepwave("run", "flow.yaml", "--resume", first, "--json", cwd=tmp_path).out)
    result = document["stepResults"]["a"]
    assert (result["takenFrom"], Path(result["stderrPath"]).read_text()) == (first, "hello\n")
    assert (result["stdoutPath"], result["output"]) == (None, None), "its two streams were not kept apart then"
    assert stepwave("prune", "--keep", "1", cwd=tmp_path).code == 0
    ended = stepwave("logs", "a", cwd=tmp_path)
    assert ended.code == 2
    assert f"run {first} stands for step `a`, and has been deleted with its logs" in ended.err


def test_a_step_that_was_not_started_has_no_log(tmp_path: Path) -> None:
    flow(tmp_path, TWO)
    stepwave("run", "-q", "flow.yaml", cwd=tmp_path)
    ended = stepwave("logs", "c", cwd=tmp_path)
    assert (ended.code, "step `c` was not started: Skipped due to condition" in ended.err) == (2, True)


def test_a_log_is_followed_to_the_end_of_its_step(tmp_path: Path) -> None:
    """Through its attempts."""
    first, gate = Gate(tmp_path, "first"), Gate(tmp_path)
    flow(
        tmp_path,
        f"""
        steps:
          - id: a
            retry: {{maxAttempts: 2, delay: 1ms}}
            run: |
              echo one
              if ! test -e again; then touch again; {first.hold}; {first.wait}; exit 1; fi
              {gate.hold}
              {gate.wait}
              echo two
          - {{id: after, needs: a, command: [echo, other]}}
        """,
    )
    with started("run", "-q", "flow.yaml", cwd=tmp_path) as process:
        first.arrived()
        with started("logs", "a", "--follow", cwd=tmp_path) as follower:
            assert follower.stdout is not None
            assert follower.stdout.readline() == b"one\n"
            first.open()
            gate.arrived()
            assert follower.stdout.readline() == b"one\n"
            assert follower.poll() is None
            gate.open()
            ended = end(follower)
        assert (ended.code, ended.out, ended.err) == (0, "two\n", "")
        assert end(process).code == 0
    first.all_gone()
    gate.all_gone()


def test_a_log_whose_run_is_killed_is_not_followed_for_ever(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    flow(tmp_path, f'{{steps: [{{id: a, run: "{gate.hold}; echo one; exec sleep 1000"}}]}}')
    with started("run", "-q", "flow.yaml", cwd=tmp_path) as process:
        gate.arrived()
        with started("logs", "a", "--follow", cwd=tmp_path) as follower:
            assert follower.stdout is not None
            assert follower.stdout.readline() == b"one\n"
            process.kill()
            assert end(follower).code == 0
        process.wait(PATIENCE_S)
    gate.all_gone()


def test_a_reader_of_a_log_may_go_away(tmp_path: Path) -> None:
    flow(tmp_path, "{steps: [{id: a, run: 'head -c 3000000 /dev/zero'}]}")
    stepwave("run", "-q", "flow.yaml", cwd=tmp_path)
    ended = stepwave(
        "logs", "a", cwd=tmp_path, command=("bash", "-o", "pipefail", "-c", '"$@" | head -c 1', "sh", *MODULE)
    )
    assert (ended.code, ended.out, ended.err) == (0, "\0", "")


# --- cancel ----------------------------------------------------------------------------------------------------


def test_a_run_is_cancelled_and_waited_for(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    flow(
        tmp_path,
        f"""
        steps: [{{id: a, run: "{gate.hold}; exec sleep 1000"}}]
        finally: [{{id: tidy, command: [touch, tidied]}}]
        """,
    )
    with started("run", "-q", "flow.yaml", cwd=tmp_path) as process:
        gate.arrived()
        ended = stepwave("cancel", cwd=tmp_path)
        assert (ended.code, normal(ended.out)) == (0, "run <run> has ended: cancelled, exit code 143\n")
        assert normal(ended.err) == "stepwave: run <run> is told to end\n"
        assert end(process).code == 143
    gate.all_gone()
    assert (tmp_path / "tidied").exists()
    ended = stepwave("cancel", "latest", cwd=tmp_path)
    assert ended.code == 1
    assert "does not run any more: cancelled" in ended.err
    assert "nothing is running here" in stepwave("cancel", cwd=tmp_path).err


def test_force_kills_what_does_not_want_to_end(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    flow(
        tmp_path, f"{{steps: [{{id: a, grace: 1h, run: \"trap '' TERM; {gate.hold}; while :; do sleep 1000; done\"}}]}}"
    )
    with started("run", "-q", "flow.yaml", cwd=tmp_path) as process:
        gate.arrived()
        ended = stepwave("cancel", "--force", "--json", cwd=tmp_path)
        assert (ended.code, json.loads(ended.out)["state"]) == (0, "cancelled")
        assert end(process).code == 143
    gate.all_gone()


def test_which_of_two_runs_is_to_be_cancelled(tmp_path: Path) -> None:
    gates = [Gate(tmp_path, name) for name in "ab"]
    with ExitStack() as running:
        for gate, name in zip(gates, "ab", strict=True):
            flow(tmp_path, f'{{name: {name}, steps: [{{id: x, run: "{gate.hold}; exec sleep 1000"}}]}}', f"{name}.yaml")
            running.enter_context(started("run", "-q", f"{name}.yaml", cwd=tmp_path))
            gate.arrived()
        ended = stepwave("cancel", cwd=tmp_path)
        assert (ended.code, "2 runs are running: which one?" in ended.err) == (2, True)
        for name in "ab":
            assert stepwave("cancel", name, cwd=tmp_path).code == 0
    for gate in gates:
        gate.all_gone()


# --- prune -----------------------------------------------------------------------------------------------------


def test_old_runs_are_deleted_with_their_logs(tmp_path: Path) -> None:
    flow(tmp_path, OK)
    for _ in range(3):
        stepwave("run", "-q", "flow.yaml", cwd=tmp_path)
    listed = [run["runId"] for run in json.loads(stepwave("runs", "--json", cwd=tmp_path).out)["runs"]]
    ended = stepwave("prune", "--keep", "1", "--dry-run", cwd=tmp_path)
    assert ended.out == (
        f"would delete {listed[2]}\nwould delete {listed[1]}\nwould delete 2 runs in {tmp_path}/.stepwave\n"
    )
    assert len(run_folders(tmp_path)) == 3
    assert stepwave("prune", "--keep", "1", cwd=tmp_path).out == f"deleted 2 runs in {tmp_path}/.stepwave\n"
    assert [folder.name for folder in run_folders(tmp_path)] == listed[:1]
    assert json.loads(stepwave("prune", "--older", "1d", "--json", cwd=tmp_path).out)["deleted"] == []
    assert json.loads(stepwave("prune", "--older", "1ms", "--json", cwd=tmp_path).out)["deleted"] == listed[:1]
    assert run_folders(tmp_path) == []


def test_a_running_run_is_not_deleted(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    flow(tmp_path, f'{{steps: [{{id: a, run: "{gate.hold}; {gate.wait}; echo done"}}]}}')
    for more in ([], ["--no-ledger"]):
        with started("run", "-q", "flow.yaml", *more, cwd=tmp_path) as process:
            gate.arrived()
            os.utime(run_folders(tmp_path)[-1], (0, 0))
            assert stepwave("prune", "--keep", "0", cwd=tmp_path).code == 0
            gate.open()
            assert end(process).code == 0
        gate.all_gone()
        assert (run_folders(tmp_path)[0] / "logs" / "00001-a.log").read_text() == "done\n"
        assert stepwave("prune", "--keep", "0", cwd=tmp_path).code == 0


def test_runs_without_a_record_are_deleted_but_not_listed(tmp_path: Path) -> None:
    flow(tmp_path, OK)
    stepwave("run", "-q", "--no-ledger", "flow.yaml", cwd=tmp_path)
    assert not (tmp_path / ".stepwave" / "ledger.db").exists()
    (folder,) = run_folders(tmp_path)
    assert (folder / "logs" / "00001-a.log").read_text() == "hello\n"
    assert stepwave("runs", cwd=tmp_path).out == ""
    os.utime(folder, (0, 0))
    assert stepwave("prune", "--keep", "0", cwd=tmp_path).out == f"deleted 1 run in {tmp_path}/.stepwave\n"
    assert not folder.exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "error[bad-option]: which runs are to go?"),
        (["--older", "soon"], "error[bad-option]: `--older soon` is no duration"),
        (["--damaged", "--keep", "1"], "error[conflicting-options]: `--damaged` goes alone"),
    ],
)
def test_what_prune_does_not_understand(words: list[str], sentence: str, tmp_path: Path) -> None:
    ended = stepwave("prune", *words, cwd=tmp_path)
    assert (ended.code, sentence in ended.err) == (2, True)


# --- a run and its record --------------------------------------------------------------------------------------


def test_a_damaged_ledger_is_told_before_anything_runs(tmp_path: Path) -> None:
    flow(tmp_path, "{steps: [{id: a, command: [touch, ran]}]}")
    (tmp_path / ".stepwave").mkdir()
    ledger = tmp_path / ".stepwave" / "ledger.db"
    ledger.write_text("my notes " * 1000)
    for words in (["run", "flow.yaml"], ["runs"], ["status"], ["logs", "a"], ["cancel"], ["prune", "--keep", "1"]):
        ended = stepwave(*words, cwd=tmp_path)
        assert (ended.code, ended.out) == (3, "")
        assert normal(ended.err, tmp_path).endswith(
            "stepwave: `<here>/.stepwave/ledger.db`: is damaged, or no ledger\n"
            "  = help: `--no-ledger` runs without a record; `stepwave prune --damaged` moves it aside and begins a"
            " new one\n"
        )
        assert ledger.read_text() == "my notes " * 1000
    assert not (tmp_path / "ran").exists()
    assert run_folders(tmp_path) == []
    assert stepwave("run", "--no-ledger", "flow.yaml", cwd=tmp_path).code == 0
    assert (tmp_path / "ran").exists()
    assert ledger.read_text() == "my notes " * 1000
    ended = stepwave("prune", "--damaged", cwd=tmp_path)
    aside = next((tmp_path / ".stepwave").glob("ledger.db.damaged-*"))
    assert (ended.code, ended.out) == (0, f"moved the damaged ledger to {aside}\n")
    assert aside.read_text() == "my notes " * 1000
    assert stepwave("run", "flow.yaml", cwd=tmp_path).code == 0
    assert len(stepwave("runs", cwd=tmp_path).out.splitlines()) == 2
    assert "not damaged" in stepwave("prune", "--damaged", cwd=tmp_path).err


def test_a_ledger_that_cannot_be_written_any_more_ends_the_run(tmp_path: Path) -> None:
    """A disk that becomes full in the middle: no traceback, nothing left, and what was recorded is there."""
    steps = "".join(f"\n          - {{id: s{n}, command: [touch, s{n}]}}" for n in range(300))
    flow(tmp_path, "{steps: [{id: a, command: ['true']}]}", "first.yaml")
    stepwave("run", "-q", "first.yaml", cwd=tmp_path)
    flow(tmp_path, f"\n        steps:{steps}\n")
    size = (tmp_path / ".stepwave" / "ledger.db").stat().st_size // 1024 + 60
    limited = ("bash", "-c", f'ulimit -f {size}; exec "$@"', "sh", *MODULE)
    ended = stepwave("run", "-q", "flow.yaml", cwd=tmp_path, command=limited)
    assert ended.code == 3
    assert normal(ended.err, tmp_path).endswith(
        "stepwave: `<here>/.stepwave/ledger.db`: cannot be written: disk I/O error\n"
        "  = help: `--no-ledger` runs without a record; STEPWAVE_STATE_DIR names another folder for what stepwave"
        " keeps\n"
    )
    document = json.loads(stepwave("status", "--json", cwd=tmp_path).out)
    assert document["state"] == "died"
    recorded = {id for id, step in document["stepResults"].items() if step["state"] == "completed"}
    assert recorded
    assert all((tmp_path / id).exists() for id in recorded)


def test_a_state_folder_that_a_step_removes(tmp_path: Path) -> None:
    flow(tmp_path, "{name: clean, steps: [{id: a, run: rm -rf .stepwave}]}")
    ended = stepwave("run", "flow.yaml", cwd=tmp_path)
    assert ended.code == 3
    assert "✓ [a] Complete" in ended.err
    assert normal(ended.err, tmp_path).endswith(
        "stepwave: `<here>/.stepwave/ledger.db`: was deleted while the run went on\n"
        "  = help: nothing is recorded of this run\n"
    )


def test_in_the_folder_of_somebody_else_the_runs_in_the_home_are_meant(tmp_path: Path) -> None:
    flow(tmp_path, "{name: theirs, steps: [{id: a, run: echo hi}, {id: b, needs: a, run: test -e there}]}")
    assert stepwave("run", "flow.yaml", cwd=tmp_path).code == 1
    state = tmp_path / ".stepwave"
    state.chmod(0)
    # Root may enter every folder, unless it gives that right away.
    command = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", *MODULE) if os.geteuid() == 0 else MODULE
    try:
        ended = stepwave("run", "flow.yaml", cwd=tmp_path, command=command)
        assert ended.code == 1, ended.err
        (mine,) = (tmp_path / ".local/state/stepwave/runs").iterdir()
        assert stepwave("status", cwd=tmp_path, command=command).out.startswith(f"run {mine.name} of theirs: failed")
        (tmp_path / "there").touch()
        ended = stepwave("run", "flow.yaml", "--resume", cwd=tmp_path, command=command)
        assert ended.code == 0
        assert f"[a] Reused (run {mine.name})" in ended.err
        assert stepwave("prune", "--keep", "0", cwd=tmp_path, command=command).code == 0
        assert not any((tmp_path / ".local/state/stepwave/runs").iterdir())
    finally:
        state.chmod(0o700)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs the right to mount")
@pytest.mark.parametrize("ballast", [90_000, 60_000], ids=["for the ledger", "for what lies beside it"])
def test_a_small_disk_that_is_full(ballast: int, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=96k", "none", disk], capture_output=True, check=False
    ).returncode:
        pytest.skip("mount is not permitted here")
    try:
        flow(tmp_path, OK)
        (disk / "ballast").write_bytes(b"x" * ballast)
        ended = stepwave("run", "-q", "flow.yaml", cwd=tmp_path, env={"STEPWAVE_STATE_DIR": str(disk)})
    finally:
        subprocess.run(["umount", disk], check=True)
    assert ended.code == 3
    assert re.search(r"^stepwave: `[^`]*/disk/[^`]*`: no space left on device$", ended.err, re.MULTILINE)


def test_a_run_of_the_library_is_recorded_too(tmp_path: Path) -> None:
    flow(tmp_path, OK)
    program = "import stepwave; assert stepwave.run('flow.yaml', variables={'v': 1}).success"
    subprocess.run([MODULE[0], "-c", program], cwd=tmp_path, check=True)
    with closing(sqlite3.connect(tmp_path / ".stepwave" / "ledger.db")) as db:
        ((file, origin),) = db.execute("SELECT file, origin FROM runs").fetchall()
    assert file == str(tmp_path / "flow.yaml")
    assert json.loads(origin)["variables"] == {"v": 1}


def test_how_a_run_was_asked_for_is_recorded_and_the_environment_is_not(tmp_path: Path) -> None:
    flow(tmp_path, OK)
    env = {"MY_TOKEN": "hush-hush-hush"}
    stepwave("run", "-q", "flow.yaml", "--var", "x=1", "--only", "a", "-j2", "--durable", cwd=tmp_path, env=env)
    path = tmp_path / ".stepwave" / "ledger.db"
    with closing(sqlite3.connect(path)) as db:
        ((origin,),) = db.execute("SELECT origin FROM runs").fetchall()
    assert json.loads(origin) == {
        "file": str(tmp_path / "flow.yaml"),
        "variables": {"x": "1"},
        "only": ["a"],
        "options": {"max_concurrency": "2"},
    }
    assert b"hush-hush" not in path.read_bytes()


def test_eight_runs_at_once_in_one_state_folder(tmp_path: Path) -> None:
    """Of different files, and of the same one: all complete, and each has its own record."""
    steps = ", ".join(f"{{id: s{n}, run: 'echo $G'}}" for n in range(12))
    for name in "abcd":
        flow(tmp_path, f"{{name: {name}, steps: [{steps}]}}", f"{name}.yaml")
    with ExitStack() as running:
        processes = [
            running.enter_context(started("run", "-q", f"{name}.yaml", cwd=tmp_path, env={"G": name}))
            for name in "abcd" * 2
        ]
        assert [end(process).code for process in processes] == [0] * 8
    listed = json.loads(stepwave("runs", "--json", cwd=tmp_path).out)["runs"]
    assert sorted(run["name"] for run in listed) == sorted("abcd" * 2)
    for run in listed:
        document = json.loads(stepwave("status", run["runId"], "--json", cwd=tmp_path).out)
        assert {step["state"] for step in document["stepResults"].values()} == {"completed"}
        assert {Path(step["logPath"]).read_text() for step in document["stepResults"].values()} == {run["name"] + "\n"}


def test_a_ledger_that_somebody_holds_is_waited_for(tmp_path: Path) -> None:
    flow(tmp_path, OK)
    stepwave("run", "-q", "flow.yaml", cwd=tmp_path)
    with closing(sqlite3.connect(tmp_path / ".stepwave" / "ledger.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with started("run", "-q", "flow.yaml", cwd=tmp_path) as process:
            while len(run_folders(tmp_path)) < 2:
                select.select([], [], [], 0.01)
            other.execute("COMMIT")
            assert end(process).code == 0


# --- the log of the whole ----------------------------------------------------------------------------------------


def test_the_orchestrator_log(tmp_path: Path) -> None:
    flow(tmp_path, TWO)
    stepwave("run", "-q", "--no-ledger", "flow.yaml", cwd=tmp_path)
    text = (run_folders(tmp_path)[0] / "orchestrator.log").read_text()
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ", line) for line in text.splitlines())
    assert normal(re.sub(r"(?m)^\S+ ", "", text)) == say(
        """
        run of Two things: 3 steps in 3 waves, at most 4 at a time
        [a] Starting
        [a] Complete (<t>)
        [b] Starting
        [b] Retrying in <t> (attempt 1 failed): exit code 3
        [b] Starting (attempt 2)
        [b] Failed (<t>, 2 attempts, tolerated): exit code 3
        [c] Skipped due to condition
        run completed, exit code 0
        """
    )


def test_a_signal_is_in_the_orchestrator_log(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    flow(tmp_path, f'{{name: "w\\e[1m", steps: [{{id: a, run: "{gate.hold}; exec sleep 1000"}}]}}')
    with started("run", "-q", "flow.yaml", cwd=tmp_path) as process:
        gate.arrived()
        process.send_signal(signal.SIGTERM)
        end(process)
    gate.all_gone()
    text = (run_folders(tmp_path)[0] / "orchestrator.log").read_text()
    assert "nothing new starts: interrupted (SIGTERM)\n" in text
    assert "[a] Stopping: " in text
    assert "\x1b" not in text
