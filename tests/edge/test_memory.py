"""What is recorded of successes, and when: real runs, a real ledger, looked at with SQL."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from stepwave import api, past
from stepwave.core.diagnostics import Diagnostic
from stepwave.core.events import Outcome, StepFinished, StepStarted
from stepwave.core.origin import Origin
from stepwave.core.summary import Summary
from stepwave.edge.ledger.memory import LedgerMemory

ENVIRON = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}


class Watching:
    """A listener that looks into the ledger, as another process would."""

    refresh_s: float | None = None

    def __init__(self, state: Path, query: str) -> None:
        self.state = state
        self.query = query
        self.seen: list[tuple[str, list[Any]]] = []

    def see(self, entry: Any) -> None:
        if isinstance(entry.event, (StepStarted, StepFinished)):
            self.seen.append((f"{type(entry.event).__name__} {entry.event.step}", rows(self.state, self.query)))

    def refresh(self) -> None: ...

    def pause(self) -> None: ...

    def close(self) -> None: ...


def rows(state: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(state / "ledger.db")) as db:
        return db.execute(query).fetchall()


def go(
    folder: Path,
    text: str | None = None,
    *,
    resume: str | None = None,
    again: Sequence[str] = (),
    environ: Mapping[str, str] = ENVIRON,
    watching: Watching | None = None,
    force: bool = False,
) -> Summary:
    """A run of `flow.yaml` in a folder, which is written first where there is a text."""
    path = folder / "flow.yaml"
    if text is not None:
        path.write_text(dedent(text))
    loaded = api.load(path, environ=environ)
    assert loaded.workflow is not None, loaded.diagnostics
    plan = api.plan(loaded.workflow, max_concurrency=1)
    taken_up, origin = None, Origin(file=past.file_of(str(path)))
    if resume is not None:
        found = past.find(str(path), resume, environ)
        assert not isinstance(found, Diagnostic), found
        taken_up = past.take_up(found, plan, again)
        origin = origin._replace(resumed_from=found.run.id)
    memory = past.memory(plan, origin.file, taken_up, force=force)
    return api.run_plan(
        plan,
        environ=environ,
        memory=memory,
        deselected=taken_up.left_out if taken_up else frozenset(),
        required=[api.ledger(origin, memory=memory)],
        courtesy=[lambda plan, run: watching] if watching else [],
    )


def taken(summary: Summary) -> dict[str, bool]:
    """By step that completed, whether it was taken over."""
    return {step.id: bool(step.taken_from) for step in summary.steps if step.outcome is Outcome.COMPLETED}


TWO = """
    steps:
      - {id: a, inputs: [in], outputs: [out], run: cat in > out}
      - {id: b, dependsOn: a, inputs: [out], run: test -e out}
"""


def test_a_success_is_on_disk_before_a_dependent_starts(tmp_path: Path) -> None:
    (tmp_path / "in").touch()
    state = tmp_path / ".stepwave"
    watching = Watching(state, "SELECT step FROM successes UNION ALL SELECT '- ' || step FROM underway")
    go(tmp_path, TWO, watching=watching)
    # A turn is told before its commit: a's end before it is on disk, and b's start, which is of the same turn.
    assert dict(watching.seen) == {
        "StepStarted a": [],
        "StepFinished a": [("- a",)],
        "StepStarted b": [("- a",)],
        "StepFinished b": [("a",)],
    }
    assert sorted(rows(state, "SELECT step FROM successes")) == [("a",), ("b",)]
    assert rows(state, "SELECT * FROM underway") == []


def test_what_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("x")
    summary = go(tmp_path, TWO)
    ((file, step, run, code, details),) = rows(
        tmp_path / ".stepwave", "SELECT file, step, run, exit_code, details FROM successes WHERE step = 'a'"
    )
    assert (file, step, run, code) == (f"{tmp_path}/flow.yaml", "a", summary.run, 0)
    definition, filled, inputs, outputs = json.loads(details)
    assert definition == {"run": "cat in > out", "inputs": "in", "outputs": "out"}
    assert [*inputs] == ["in"] and [*outputs] == ["out"] and inputs["in"] == outputs["out"]
    assert set(filled) == {"command", "cwd"} and all(one.startswith("sealed:") for one in filled.values())


def test_each_ledger_has_a_key_of_its_own(tmp_path: Path) -> None:
    prints = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        go(folder, "steps: [{id: a, inputs: [], run: 'true'}]")
        prints += rows(folder / ".stepwave", "SELECT fingerprint FROM successes")
    assert len({*prints}) == 2


def test_the_folder_may_move_with_its_state(tmp_path: Path) -> None:
    """Paths in the record start from the folder. The file has another name now, so it is a resume that finds it."""
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "in").touch()
    go(tmp_path / "one", TWO + "  - {id: c, dependsOn: b, run: test -e good}\n".replace("  -", "      -"))
    (tmp_path / "one").rename(tmp_path / "two")
    assert taken(go(tmp_path / "two", resume="latest")) == {"a": True, "b": True}


@pytest.mark.parametrize("damage", ["DELETE FROM successes", "UPDATE successes SET fingerprint = 'x'"])
def test_a_record_that_is_not_whole_lets_the_step_run(tmp_path: Path, damage: str) -> None:
    (tmp_path / "in").touch()
    go(tmp_path, TWO)
    with closing(sqlite3.connect(tmp_path / ".stepwave" / "ledger.db")) as db:
        db.execute(damage)
        db.commit()
    assert taken(go(tmp_path)) == {"a": False, "b": False}
    assert taken(go(tmp_path)) == {"a": True, "b": True}


def test_a_run_may_be_taken_up_many_times(tmp_path: Path) -> None:
    """Each time one more step succeeds; the first one was run by the first run, however long ago."""
    steps = [f"- {{id: s{n}, dependsOn: s{n - 1}, run: test -e go{n}}}" for n in range(8)]
    text = "\n".join(["steps:", *steps]).replace("dependsOn: s-1, ", "")
    (tmp_path / "go0").touch()
    first = go(tmp_path, text)
    for n in range(1, 8):
        (tmp_path / f"go{n}").touch()
        summary = go(tmp_path, resume="latest")
        assert [step.id for step in summary.steps if step.outcome is Outcome.COMPLETED and not step.taken_from] == [
            f"s{n}"
        ]
        assert summary.steps[0].taken_from == first.run
    assert summary.success


def test_a_pruned_run_in_the_middle_is_forgotten(tmp_path: Path) -> None:
    text = "steps: [{id: a, run: 'true'}, {id: b, dependsOn: a, run: test -e good}]"
    first = go(tmp_path, text)
    go(tmp_path, resume="latest")
    with closing(sqlite3.connect(tmp_path / ".stepwave" / "ledger.db")) as db:
        db.execute("DELETE FROM runs WHERE id = ?", (first.run,))
        db.commit()
    (tmp_path / "good").touch()
    assert taken(go(tmp_path, resume="latest")) == {"a": True, "b": False}


def test_steps_are_compared_with_what_they_were_when_they_succeeded(tmp_path: Path) -> None:
    """Changed and changed back between two resumes: the success of the first version does not count for the second."""
    text = "steps: [{id: a, run: true %s}, {id: b, dependsOn: a, run: test -e good}]"
    go(tmp_path, text % 1)
    assert taken(go(tmp_path, text % 2, resume="latest")) == {"a": False}
    assert taken(go(tmp_path, text % 2, resume="latest")) == {"a": True}
    assert taken(go(tmp_path, text % 1, resume="latest")) == {"a": False}


def test_again_beats_what_is_known(tmp_path: Path) -> None:
    (tmp_path / "in").touch()
    first = go(tmp_path, TWO)
    assert taken(go(tmp_path, resume=first.run, again=["b"])) == {"a": True, "b": False}
    assert taken(go(tmp_path, resume=first.run, again=["a"])) == {"a": False, "b": True}  # b reads the same as before
    assert taken(go(tmp_path, force=True)) == {"a": False, "b": False}


def test_an_attempt_is_known_before_it_starts(tmp_path: Path) -> None:
    state = tmp_path / ".stepwave"
    text = "steps: [{id: a, outputs: [out], run: 'sqlite3() { :; }; test -s .stepwave/ledger.db-wal'}]"
    go(tmp_path, text)
    watching = Watching(state, "SELECT step, attempt, before FROM underway")
    (tmp_path / "out").write_text("x")
    go(tmp_path, text, watching=watching)
    ((_, before_start), (_, ((step, attempt, before),))) = watching.seen
    assert before_start == []
    assert (step, attempt, list(json.loads(before))) == ("a", 1, [f"{tmp_path}/out"])


def test_without_a_ledger_there_is_nothing_to_bind(tmp_path: Path) -> None:
    path = tmp_path / "flow.yaml"
    path.write_text("steps: [{id: a, inputs: [], run: 'true'}]")
    workflow = api.load(path).workflow
    assert workflow is not None
    memory = past.memory(api.plan(workflow), str(path))
    assert isinstance(memory, LedgerMemory)


def test_a_part_of_a_list_is_known_by_its_item(tmp_path: Path) -> None:
    """Items that make no good names are counted: then the number alone says nothing."""
    text = """
    steps:
      - {id: find, run: cat items}
      - {id: each, dependsOn: find, forEach: '{{steps.find.output}}', inputs: [], run: 'echo {{item.name}}'}
      - {id: bad, dependsOn: each, run: test -e good}
    """
    (tmp_path / "items").write_text('[{"name": "x"}, {"name": "y"}]')
    first = go(tmp_path, text.replace("inputs: [], ", ""))
    assert taken(first)["each[0]"] is False
    went = taken(go(tmp_path, resume="latest"))
    assert went["each[0]"] and went["each[1]"] and went["find"]
    assert len(rows(tmp_path / ".stepwave", "SELECT * FROM parts")) == 4


@pytest.mark.parametrize(("step", "loaded"), [("run: 'true'", False), ("run: 'true', inputs: []", True)])
def test_a_file_without_inputs_and_outputs_pays_for_none(tmp_path: Path, step: str, loaded: bool) -> None:
    (tmp_path / "flow.yaml").write_text(f"steps: [{{id: a, {step}}}]")
    program = (
        "import sys\n"
        "sys.argv = ['stepwave', 'run', '-q', 'flow.yaml']\n"
        "from stepwave.cli import door\n"
        "door()\n"
        "names = ('stepwave.edge.ledger.making', 'stepwave.core.building.inputs', 'hashlib')\n"
        "print([name in sys.modules for name in names])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=ENVIRON, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{[loaded] * 3}\n"
