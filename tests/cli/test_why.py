"""`why` and `compare`: what a record says about a run afterwards, and while it goes on. By real runs; whole output."""

import json
import os
import re
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.invoke import Gate, end, flow, normal, run_folders, say, started, stepwave
from tests.cli.test_other_commands import completed

FLOW = """
    name: Models
    version: 1.0.0
    resources: {gpu: 1}
    max_concurrency: 3
    onFailure: skip_dependents
    steps:
      - {id: train, run: "sleep 0.4", resources: {gpu: 1}, priority: -1}
      - {id: try, run: "true", resources: {gpu: 1}}
      - {id: report, needs: [train, try], run: "exit 3", retry: {maxAttempts: 2, delay: 20ms}}
      - {id: ship, needs: report, run: "true"}
      - {id: tell, needs: ship, run: "true"}
      - {id: later, run: "true", condition: "false"}
"""


def why(here: Path, *words: str) -> str:
    ended = stepwave("why", *words, cwd=here)
    assert (ended.code, ended.err) == (0, "")
    return normal(ended.out)


def test_why_steps_ran_waited_and_were_skipped(tmp_path: Path) -> None:
    flow(tmp_path, FLOW)
    assert stepwave("run", "-q", "flow.yaml", cwd=tmp_path).code == 1
    assert why(tmp_path, "try") == say(
        """
        try completed; it ran for <t> and waited for <t>
          it waited <t> for 1 unit of pool gpu, which has 1; held by train (<t>)
          it could start when train made room
          it is step 2 of 3 on the critical path of the run (<t>)
        """
    )
    assert why(tmp_path, "report") == say(
        """
        report failed after 2 attempts: exit code 3; it ran for <t> and waited for <t>
          what it needs had ended: train (completed), try (completed)
          it waited <t> for try, the last to end of the 2 that it needs
          it waited <t> for the delay between two attempts
          attempt 1 took <t>: exit code 3
          it is step 3 of 3 on the critical path of the run (<t>)
        """
    )
    assert why(tmp_path, "tell") == say(
        """
        tell was skipped: it needs ship, which could not run because report failed after 2 attempts: exit code 3
          it waited <t> for ship, which it needs
        """
    )
    assert why(tmp_path, "later", "latest") == "later was skipped: its condition was false\n"


def test_the_figures_of_a_wait_are_those_of_the_run(tmp_path: Path) -> None:
    flow(tmp_path, FLOW)
    stepwave("run", "-q", "flow.yaml", cwd=tmp_path)
    document = json.loads(stepwave("why", "try", "--json", cwd=tmp_path).out)
    assert document["runId"] == run_folders(tmp_path)[0].name
    (charge,) = document["charges"]
    assert (charge["cause"], charge["name"], charge["holders"][0]["step"]) == ("pool", "gpu", "train")
    (wait,) = document["waits"]
    (attempt,) = document["attempts"]
    assert 0.3 < charge["seconds"] == document["waitedS"] == pytest.approx(wait["endS"] - wait["beginS"])
    assert wait["endS"] == attempt["beginS"] <= attempt["endS"] == document["endedS"]
    assert (document["state"], document["releasedBy"], document["onCriticalPath"]) == ("completed", "train", True)


def test_why_a_step_was_reused(tmp_path: Path) -> None:
    flow(tmp_path, "steps: [{id: a, run: 'true'}, {id: b, needs: a, run: 'test -e there'}]")
    stepwave("run", "-q", "flow.yaml", cwd=tmp_path)
    first = run_folders(tmp_path)[0].name
    stepwave("run", "-q", "flow.yaml", "--resume", cwd=tmp_path)
    assert stepwave("why", "a", cwd=tmp_path).out == f"a was not run: its success in run {first} stands for it\n"
    assert why(tmp_path, "b").splitlines()[1] == "  what it needs had ended: a (reused)"


def test_why_a_step_of_a_living_run_waits(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    flow(
        tmp_path,
        f"""
        resources: {{gpu: 1}}
        steps:
          - {{id: a, run: "{gate.hold}; {gate.wait}", resources: {{gpu: 1}}, priority: -1}}
          - {{id: b, needs: a, run: "true"}}
          - {{id: c, needs: b, run: "true"}}
          - {{id: d, run: "true", resources: {{gpu: 1}}}}
        finally: [{{id: z, run: "true"}}]
        """,
    )
    with started("run", "-q", "flow.yaml", cwd=tmp_path) as process:
        gate.arrived()
        found = [why(tmp_path, id) for id in "acdz"]
        gate.open()
        end(process)
    gate.all_gone()
    assert "".join(found) == say(
        """
        a has been running for <t>
          it started as soon as the run did
          it is step 1 of 1 on the critical path of the run (<t>)
        c waits for a (and 1 step between them), which has been running for <t>
          it has been waiting <t> for b, which it needs
        d is ready and waits for 1 unit of pool gpu, which has 1
          it has been waiting <t> for 1 unit of pool gpu, which has 1; held by a (<t>)
        z waits for a, which has been running for <t>
          it is in another part of the run: finally
          it has been waiting <t> for a, as it comes after all of that
        """
    )
    assert why(tmp_path, "c").startswith("c completed; ")


def test_why_of_a_run_that_died(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    flow(tmp_path, f'steps: [{{id: a, run: "{gate.hold}; exec sleep 1000"}}, {{id: b, needs: a, run: "true"}}]')
    with started("run", "-q", "flow.yaml", cwd=tmp_path) as process:
        gate.arrived()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    gate.all_gone()
    assert why(tmp_path, "a").startswith("a was running when the run died\n")
    assert why(tmp_path, "b").startswith("b had not started when the run died; it had waited for <t>\n")


def test_what_cannot_be_told(tmp_path: Path) -> None:
    ended = stepwave("why", "a", cwd=tmp_path)
    assert (ended.code, ended.err.splitlines()[0]) == (2, "error[no-such-run]: no run is recorded here yet")
    flow(tmp_path, "steps: [{id: build, forEach: [1, 2], run: 'true'}]")
    stepwave("run", "-q", "flow.yaml", cwd=tmp_path)
    ended = stepwave("why", "build", cwd=tmp_path)
    assert ended.code == 2
    assert normal(ended.err) == say(
        """
        error[unknown-step]: run <run> has no step `build`
         --> command line
          = help: its parts are build[1], build[2]

        1 error on the command line
        """
    )
    assert "did you mean `build[1]`?" in stepwave("why", "buld[1]", cwd=tmp_path).err
    assert stepwave("compare", "nothing", cwd=tmp_path).code == 2
    assert stepwave("compare", "latest", "nothing", cwd=tmp_path).code == 2


# --- compare ---------------------------------------------------------------------------------------------------


def test_two_runs_beside_each_other(tmp_path: Path) -> None:
    flow(tmp_path, FLOW)
    stepwave("run", "-q", "flow.yaml", cwd=tmp_path)
    flow(
        tmp_path, FLOW.replace("exit 3", "sleep 0.3").replace("sleep 0.4", "sleep 0.9").replace("id: later", "id: new")
    )
    stepwave("run", "-q", "flow.yaml", cwd=tmp_path)
    before, after = (folder.name for folder in run_folders(tmp_path))
    ended = stepwave("compare", before, after, "--all", cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    text = re.sub(r" [+-]<t>( \([+-]\d+%\))?", " <change>", normal(ended.out))
    head, table, figures, paths = text.split("\n\n")
    assert head == "before  run <run> of Models: failed in <t>, exit code 1\n" + (
        "after  run <run> of Models: completed in <t>, exit code 0"
    )
    rows = table.splitlines()
    assert rows[0] == "STEP  BEFORE  AFTER  RAN BEFORE  RAN AFTER  CHANGE"
    assert "report  failed  completed <t> <t>  <change>" in rows
    assert "ship  skipped  completed  - <t>" in rows
    assert "later  skipped  -  -  -  gone" in rows
    assert "new  -  skipped  -  -  new" in rows
    assert "train  completed  completed <t> <t>  <change>" in rows
    assert len(rows) == 8
    assert "waiting for pool gpu <t> <t>  <change>" in figures.splitlines()
    assert paths == say(
        """
        critical path before: train → try → report
        critical path after:  train → try → report → ship → tell
        """
    )


def test_the_document_of_a_comparison(tmp_path: Path) -> None:
    flow(tmp_path, FLOW)
    for _ in range(2):
        stepwave("run", "-q", "flow.yaml", cwd=tmp_path)
    before, after = (folder.name for folder in run_folders(tmp_path))
    document = json.loads(stepwave("compare", before, "--json", cwd=tmp_path).out)
    assert (document["before"]["runId"], document["after"]["runId"]) == (before, after)
    assert set(document["steps"]) == {"train", "try", "report", "ship", "tell", "later"}
    assert document["steps"]["report"]["before"]["attempts"] == 2


def test_a_run_of_an_older_stepwave_says_what_it_can(tmp_path: Path) -> None:
    (tmp_path / ".stepwave").mkdir()
    old = Path(__file__).parents[1] / "edge" / "ledger_v1.sql"
    with closing(sqlite3.connect(tmp_path / ".stepwave" / "ledger.db")) as db:
        db.executescript(old.read_text("utf-8"))
    assert stepwave("why", "parts[2]", cwd=tmp_path).out == say(
        """
        parts[2] completed; it ran for 1ms and waited for 4ms
          it is a part of parts
          it waited 2ms for a slot (2 may run at a time); while there ran parts[1] (2ms), flaky (2ms)
          it waited 2ms for 1 unit of pool gpu; held by parts[1] (2ms)
          it could start when parts[1] made room
        """
    )
    assert stepwave("why", "yes", cwd=tmp_path).out.startswith("yes completed; it ran for 6ms and waited for nothing\n")


def test_the_steps_and_runs_that_tab_offers(tmp_path: Path) -> None:
    flow(tmp_path, "steps: [{id: build, run: 'true'}, {id: bundle, run: 'true'}, {id: ship, run: 'true'}]")
    stepwave("run", "-q", "flow.yaml", cwd=tmp_path)
    run = run_folders(tmp_path)[0].name
    assert completed(tmp_path, "stepwave", "why", "bu") == ["build", "bundle"]
    assert completed(tmp_path, "stepwave", "compare", run[:4]) == [run]
    assert completed(tmp_path, "stepwave", "compare", run, "lat") == ["latest"]
