"""A recorded run as a Story: what the ledger gives back is what was told when it happened, and a ledger of version 1 is
read after it has become a newer one."""

import json
import os
import sqlite3
import zlib
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwave import api, records
from stepwave.core import events
from stepwave.core.diagnostics import Diagnostic
from stepwave.core.events import Entry, Status
from stepwave.core.model import Branch, Rule, Scheduling, Stage, StepType
from stepwave.core.plan import Plan
from stepwave.core.running.graph import make_plan
from stepwave.core.summary import Summary
from stepwave.core.telling.retell import Cover, retell
from stepwave.core.telling.sketch import sketch_document, sketch_from, sketch_of
from stepwave.core.telling.story import Cause, Story
from stepwave.edge.ledger import retold
from stepwave.edge.ledger.connect import open_ledger, open_to_read
from stepwave.edge.ledger.lock import hold
from tests.cli.invoke import flow, run_folders, stepwave
from tests.core.world import step, workflow

OLD = Path(__file__).with_name("ledger_v1.sql")
OLD_RUN = "20261121-183027-8a5c67"
EVERYTHING = """
    name: Everything
    version: 1.0.0
    resources: {gpu: 1}
    max_concurrency: 2
    pre_flight_checks: ["true"]
    steps:
      - {id: list, run: "echo '[1, 2]'"}
      - {id: parts, needs: list, forEach: "{{steps.list.output}}", run: "echo {{item}}", resources: {gpu: 1}}
      - {id: flaky, needs: list, run: "exit 3", retry: {maxAttempts: 2, delay: 20ms}, continueOnError: true}
      - {id: skipped, needs: flaky, run: "true", condition: "false"}
      - {id: ask, type: condition, expression: 'true', onTrue: [on], onFalse: [off]}
      - {id: on, run: "true", exclusive: true, acceptance_tests: ["echo fine", "false"], continueOnError: true}
      - {id: 'off', run: "true"}
      - {id: slow, run: "sleep 9", timeout: 50ms, continueOnError: true}
    finally:
      - {id: tidy, run: "true"}
"""


class Collecting:
    """A listener that keeps what it is told."""

    refresh_s: float | None = None

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def see(self, entry: Entry) -> None:
        self.entries.append(entry)

    def refresh(self) -> None: ...

    def pause(self) -> None: ...

    def close(self) -> None: ...


def ran(path: Path) -> tuple[Plan, Summary, Sequence[Entry]]:
    collecting = Collecting()
    plans: list[Plan] = []

    def make(plan: Plan, folder: Path) -> Collecting:
        plans.append(plan)
        return collecting

    summary = api.run(path, courtesy=(make,))
    return plans[0], summary, collecting.entries


def told(run: str | None, file: Path) -> Story:
    found = records.story(run, str(file))
    assert not isinstance(found, Diagnostic)
    return found


def test_what_is_read_back_is_what_was_told(tmp_path: Path) -> None:
    path = flow(tmp_path, EVERYTHING)
    plan, summary, entries = ran(path)
    found = told(summary.run, path)
    cover = Cover(
        summary.run,
        summary.workflow,
        summary.name,
        str(path),
        summary.folder,
        found.started_at,
        stepwave=found.stepwave,
    )
    assert found == retell(cover, sketch_of(plan), [(round(entry.elapsed_s, 6), entry.event) for entry in entries])
    assert found.started_at == pytest.approx(summary.started_at)
    assert (found.status, found.exit_code) == (summary.status, summary.exit_code)
    assert [(one.drawn.id, one.outcome, len(one.attempts)) for one in found.steps] == [
        (one.id, one.outcome, one.attempts) for one in summary.steps
    ]
    steps = {one.drawn.id: one for one in found.steps}
    assert [(test.test, test.passed) for test in steps["on"].tests] == [("1", True), ("2", False)]
    assert (steps["parts"].drawn.line, steps["parts[2]"].drawn.line) == (9, 9)
    assert {one.drawn.file for one in found.steps} == {str(path)}
    assert steps["slow"].stopping == "timed out after 50ms"
    assert steps["parts[1]"].attempts[0].log_bytes == 2
    assert {Cause.NEED, Cause.RETRY} <= {wait.cause for one in found.steps for wait in one.waits}


def test_a_reused_and_a_resumed_step(tmp_path: Path) -> None:
    """By the command line, which has a memory."""
    flow(tmp_path, "steps: [{id: a, run: 'true'}, {id: b, needs: a, run: 'test -e there'}]")
    assert stepwave("run", "-q", "flow.yaml", cwd=tmp_path).code == 1
    first = run_folders(tmp_path)[-1].name
    (tmp_path / "there").touch()
    assert stepwave("run", "-q", "flow.yaml", "--resume", cwd=tmp_path).code == 0
    found = told(None, tmp_path / "flow.yaml")
    a, b = found.steps
    assert (found.resumed_from, a.taken_from, a.attempts, a.waits, b.taken_from) == (first, first, (), (), None)
    assert found.critical_path == ("b",)


def test_a_living_run_is_told_up_to_now(tmp_path: Path) -> None:
    state = tmp_path / ".stepwave"
    path = flow(tmp_path, "steps: [{id: a, run: 'true'}]")
    _, summary, _ = ran(path)
    with closing(sqlite3.connect(state / "ledger.db")) as db:
        db.execute("UPDATE runs SET status = NULL, exit_code = NULL, ended_s = NULL, started_at = started_at - 100")
        db.execute("DELETE FROM events")
        db.execute("DELETE FROM steps WHERE id = 'a'")
        db.execute(
            "INSERT INTO events VALUES (1 << 32 | 1, ?)",
            (
                '[[1,0.5,"RunStarted",["w","W",[["a"]],0,2,{}]],[2,0.5,"StepQueued",["a"]],'
                '[3,0.5,"StepStarted",["a",1,["true"],"/",{},"l",false,"more than is known"]],'
                '[4,0.5,"FromTheFuture",[1]]]',
            ),
        )
        db.commit()
    assert told(None, path).wall_s == 0.5  # nobody holds the lock: it has died
    lock = hold(Path(summary.folder))
    try:
        found = told(None, path)
    finally:
        os.close(lock)
    assert found.alive
    assert found.wall_s >= 100
    assert found.steps[0].attempts[0].end_s is None


def test_a_run_whose_runner_itself_failed(tmp_path: Path) -> None:
    """No event tells of its end, but its row does."""
    path = flow(tmp_path, "steps: [{id: a, run: 'true'}]")
    ran(path)
    with closing(sqlite3.connect(tmp_path / ".stepwave" / "ledger.db")) as db:
        db.execute("DELETE FROM events WHERE entries LIKE '%RunFinished%'")
        db.execute("UPDATE steps SET turn = replace(turn, 'RunFinished', 'Nothing')")
        db.execute("UPDATE runs SET status = 'failed', exit_code = 3, reason = 'the runner itself failed', ended_s = 7")
        db.commit()
    found = told(None, path)
    assert (found.status, found.exit_code, found.alive, found.wall_s) == (Status.FAILED, 3, False, 7.0)
    assert found.reason == "the runner itself failed"


def test_a_workflow_made_in_python_stands_in_no_file(tmp_path: Path) -> None:
    one = step("a", base=str(tmp_path))
    flow = workflow(one._replace(place=one.place._replace(path="A name")), folder=str(tmp_path))
    api.run(flow)
    found = told(None, tmp_path)
    assert (found.steps[0].drawn.file, found.steps[0].drawn.line) == ("", 0)


# --- the sketch ------------------------------------------------------------------------------------------------


def test_a_sketch_is_what_it_takes_to_draw_a_plan() -> None:
    branch = Branch(Rule("expression", "true"), ("b",), ("c",))
    plan = make_plan(
        workflow(
            step("a", type=StepType.CONDITION, branch=branch, name="A?"),
            step("b", "a", resources=(("gpu", 2),), exclusive=True),
            step("c", "a", max_concurrency=3, name="c"),
            step("z", stage=Stage.FINALLY),
            rate_limit_s=0.5,
            scheduling=Scheduling.WAVES,
        ),
        cpus=4,
    )
    sketch = sketch_of(plan)
    assert (sketch.rate_limit_s, sketch.by_waves) == (0.5, True)
    a, b, c, z = sketch.steps
    assert (a.id, a.name, a.type, a.on_true, a.on_false) == ("a", "A?", StepType.CONDITION, ("b",), ("c",))
    assert (b.needs, b.resources, b.exclusive, b.wave, b.name) == (("a",), (("gpu", 2),), True, 1, "b")
    assert (c.max_concurrency, c.name, z.stage, z.wave) == (3, "c", Stage.FINALLY, 2)
    assert (a.file, a.line) == ("test.yaml", 1)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.text(), st.text(), st.integers(0, 9)), unique_by=lambda row: row[0], max_size=5))
def test_a_sketch_goes_through_json(rows: list[tuple[str, str, int]]) -> None:
    steps = [step(id, name=name, exclusive=number > 5) for id, name, number in rows]
    plan = make_plan(workflow(*steps), cpus=4)
    packed = zlib.compress(json.dumps(sketch_document(plan)).encode())
    assert sketch_from(json.loads(zlib.decompress(packed))) == sketch_of(plan)


def test_steps_of_several_files(tmp_path: Path) -> None:
    flow(tmp_path, "steps: [{id: x, run: 'true'}]", "lib.yaml")
    path = flow(tmp_path, "include: {file: lib.yaml, as: lib}\nsteps: [{id: a, run: 'true'}]")
    ran(path)
    found = told(None, path)
    assert {(one.drawn.id, Path(one.drawn.file).name, one.drawn.line) for one in found.steps} == {
        ("a", "flow.yaml", 2),
        ("lib.x", "lib.yaml", 1),
    }


def test_a_workflow_from_standard_input_stands_in_no_file() -> None:
    one = step("a")
    plan = make_plan(workflow(one._replace(place=one.place._replace(path="-"))), cpus=4)
    assert (sketch_of(plan).steps[0].file, sketch_of(plan).steps[0].line) == ("", 0)


# --- version 1 -------------------------------------------------------------------------------------------------


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A ledger as version 1 has left it."""
    path = tmp_path / ".stepwave" / "ledger.db"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as db:
        db.executescript(OLD.read_text("utf-8"))
    return path


def test_a_ledger_of_version_1_becomes_a_newer_one(old: Path, tmp_path: Path) -> None:
    found = told(None, tmp_path / "flow.yaml")
    with closing(sqlite3.connect(old)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (2,)
        assert db.execute("SELECT id, sketch FROM runs").fetchall() == [(OLD_RUN, None)]
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert (found.run, found.name, found.wall_s, found.sketched) == (OLD_RUN, "An older run", 0.068973, False)
    assert [(one.drawn.id, one.outcome and one.outcome.value, len(one.attempts)) for one in found.steps] == [
        ("list", "completed", 1),
        ("ask", "completed", 1),
        ("parts", "completed", 1),
        ("parts[1]", "completed", 1),
        ("parts[2]", "completed", 1),
        ("flaky", "failed", 2),
        ("yes", "completed", 1),
        ("no", "skipped", 0),
        ("skipped", "skipped", 0),
        ("tidy", "completed", 1),
    ]
    assert all(one.drawn.needs == () and one.drawn.line == 0 for one in found.steps)
    assert found.steps[-1].drawn.stage is Stage.FINALLY
    assert found.critical_path == ("flaky", "tidy")


def test_a_run_of_version_1_and_one_of_version_2_lie_side_by_side(old: Path, tmp_path: Path) -> None:
    path = flow(tmp_path, "steps: [{id: a, run: 'true'}]")
    _, summary, _ = ran(path)
    assert told(OLD_RUN, path).sketched is False
    assert told(summary.run, path).sketched is True
    status = records.status(OLD_RUN, str(path))
    assert not isinstance(status, Diagnostic)
    assert [view.id for view in status[1]][:2] == ["list", "ask"]


def test_the_newest_version_is_the_same_whether_made_or_migrated(old: Path, tmp_path: Path) -> None:
    open_ledger(old).close()
    new = tmp_path / "new.db"
    open_ledger(new).close()
    columns = []
    for path in (old, new):
        ledger = open_to_read(path)
        assert ledger is not None
        columns.append(ledger.db.execute("SELECT name, type FROM pragma_table_info('runs')").fetchall())
        ledger.close()
    assert columns[0] == columns[1]
    assert columns[0][-1] == ("sketch", "BLOB")


def test_every_kind_of_event_is_read_back() -> None:
    kinds = {kind.__name__ for kind in events.Event.__args__}  # type: ignore[attr-defined]
    assert set(retold._makers) == kinds - {"StepFinished"}
