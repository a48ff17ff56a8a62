"""What the runs before this one had brought to an end: those that it continues, and those that they had continued.

Rule 1  A step that was taken over has a row of its own in the run that took it over. So the second resume knows of it,
        and where the first one was killed before it came so far, of what the run before that one had done.
Rule 2  A success counts only as long as nothing that the step needs has been started in a later run of the chain.
Rule 3  A step that was undone, or began to be, has not succeeded.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from stepwave.core.model import Step, StepType
from stepwave.core.plan import Plan
from stepwave.core.running.fingerprint import Definition
from stepwave.edge.ledger.connect import Ledger
from stepwave.edge.ledger.reader import Run, definitions_of, places, run_of


class Success(NamedTuple):
    """`run` is the one that really ran the step; `at` counts the runs of the chain, the first one is 0."""

    run: str
    at: int
    exit_code: int | None


class Continued(NamedTuple):
    """`runs` is the chain, the first one first. `successes` are those that count. `definitions` is what each step was
    in the run of its success, `before` what every step was in the last run. `done` are the steps that had ended so well
    that others went on, and `tolerated` those of them that had failed."""

    runs: tuple[Run, ...]
    successes: Mapping[str, Success]
    definitions: Mapping[str, Definition]
    before: Mapping[str, Definition]
    done: frozenset[str]
    tolerated: frozenset[str]


class _Chain:
    """By step: its last success, when it was last started, and what undid it."""

    def __init__(self) -> None:
        self.successes: dict[str, Success] = {}
        self.started: dict[str, int] = {}
        self.done: set[str] = set()
        self.tolerated: set[str] = set()


def continued(ledger: Ledger, plan: Plan, last: Run) -> Continued:
    """What is left of the run, and of those that it continued, for this plan. May raise sqlite3.Error."""
    runs = _chain(ledger, last)
    chain = _Chain()
    for at, run in enumerate(runs):
        _read(ledger, run, at, chain)
    _forget_undone(plan, chain)
    touched = _touched(plan, chain.started)
    successes = {id: one for id, one in chain.successes.items() if one.at >= _needed_at(plan, id, touched)}
    definitions = _defined(ledger, runs, successes)
    return Continued(
        runs, successes, definitions, definitions_of(ledger, last.no), frozenset(chain.done), frozenset(chain.tolerated)
    )


def _forget_undone(plan: Plan, chain: _Chain) -> None:
    """`x.undo` undoes `x`, and `x[one].undo` a part of a `forEach`."""
    undone = {step.undo.id: id for id, step in plan.steps.items() if step.undo is not None}
    for id, at in chain.started.items():
        step = undone.get(id) or (id.removesuffix(".undo") if id.endswith("].undo") else "")
        if step in chain.successes and at >= chain.successes[step].at:
            del chain.successes[step]
            chain.done.discard(step)


def _chain(ledger: Ledger, last: Run) -> tuple[Run, ...]:
    """The run, and those that it goes back to, the first one first; those that were pruned are forgotten."""
    runs = {last.id: last}
    run: Run | None = last
    while run is not None and run.resumed_from and run.resumed_from not in runs:
        run = run_of(ledger, run.resumed_from)
        if run is not None:
            runs[run.id] = run
    return tuple(reversed(runs.values()))


# --- one run -------------------------------------------------------------------------------------------------------

_steps = (
    "SELECT id, outcome, attempts, exit_code, taken_from, reason, tolerated FROM steps WHERE place >= ? AND place < ?"
)
_events = "SELECT entries FROM turns WHERE place >= ? AND place < ? AND entries LIKE '%StepStarted%'"
_started = re.compile(r'"StepStarted",\["((?:[^"\\]|\\.)*)"')


def _read(ledger: Ledger, run: Run, at: int, chain: _Chain) -> None:
    ended = set()
    for id, outcome, attempts, code, taken_from, reason, tolerated in ledger.db.execute(_steps, places(run.no)):
        ended.add(id)
        if attempts:
            chain.started[id] = at
            chain.successes.pop(id, None)
            chain.done.discard(id)
            chain.tolerated.discard(id)
        if outcome == "completed":
            chain.successes[id] = Success(taken_from or run.id, at, code)
        if outcome == "completed" or tolerated or (outcome == "skipped" and reason in _harmless):
            chain.done.add(id)
        if tolerated:
            chain.tolerated.add(id)
    if run.ended_s is None or run.exit_code == 3:  # it was killed: what it had begun has no row
        for id in _begun(ledger, run):
            if id not in ended:
                chain.started[id] = at
                chain.successes.pop(id, None)
                chain.done.discard(id)
                chain.tolerated.discard(id)


_harmless = ("Skipped due to condition", "branch")


def _begun(ledger: Ledger, run: Run) -> Iterator[str]:
    for (entries,) in ledger.db.execute(_events, places(run.no)):
        for id in _started.findall(entries):
            yield json.loads(f'"{id}"') if "\\" in id else id


# --- the graph -----------------------------------------------------------------------------------------------------


def _touched(plan: Plan, started: Mapping[str, int]) -> dict[str, int]:
    """When each step last ran; one without a process: when what it hangs on did. -1: never."""
    parts: dict[str, int] = {}
    for id, at in started.items():
        if id not in plan.steps and "[" in id:
            whole = id[: id.index("[")]
            parts[whole] = max(at, parts.get(whole, -1))
    touched: dict[str, int] = {}
    for wave in plan.waves:
        for id in wave:
            step = plan.steps[id]
            if step.type is StepType.SCRIPT:
                touched[id] = started.get(id, -1)
            else:
                touched[id] = max(parts.get(id, -1), _last(step, touched))
    return touched


def _last(step: Step, touched: Mapping[str, int]) -> int:
    return max((touched.get(need, -1) for need in step.needs), default=-1)


def _needed_at(plan: Plan, id: str, touched: Mapping[str, int]) -> int:
    """When something that the step needs was last run; of a part of a `forEach` that of the whole."""
    step = plan.steps.get(id) or plan.steps.get(id[: id.find("[")] if "[" in id else id)
    return -1 if step is None else _last(step, touched)


def _defined(ledger: Ledger, runs: tuple[Run, ...], successes: Mapping[str, Success]) -> dict[str, Definition]:
    """What each step was in the run of its success."""
    of_run: dict[int, dict[str, Definition]] = {}
    found: dict[str, Definition] = {}
    for id, success in successes.items():
        if success.at not in of_run:
            of_run[success.at] = _definitions(ledger, runs[success.at])
        definition = of_run[success.at].get(id)
        if definition is not None:
            found[id] = definition
    return found


def _definitions(ledger: Ledger, run: Run) -> dict[str, Definition]:
    found = dict(definitions_of(ledger, run.no))
    parts = ledger.db.execute("SELECT step, definition FROM parts WHERE run = ?", (run.id,))
    return found | {step: json.loads(text) for step, text in parts}
