"""A run as it stands at this moment, from what the ledger has of it: whether it lives, and where each step is."""

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from stepwave.core.events import LeaseAwaited, StepDecided, Usage, stdout_log
from stepwave.core.telling.wording import lease_words, memory_figures
from stepwave.edge.ledger.connect import Ledger
from stepwave.edge.ledger.lock import is_held
from stepwave.edge.ledger.reader import Done, Run, Told, done, places, run_of, told


class Standing(Enum):
    """Of a run. DIED: nobody runs it any more, and it has no end."""

    RUNNING = "running"
    DIED = "died"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"


class State(Enum):
    """Of a step. LOST: it was running when its run died."""

    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    STOPPING = "stopping"
    RETRYING = "retrying"
    LOST = "lost"
    NOT_STARTED = "not started"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMEOUT = "timeout"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class RunView(NamedTuple):
    """`completed` counts the steps that have succeeded; `folder` is absolute, and may be gone."""

    run: Run
    standing: Standing
    completed: int
    folder: Path


class StepView(NamedTuple):
    """`started_s` and `ended_s` count from the start of the run. `log` is that of the last attempt, relative to the
    folder of the run. `wave` 0: a step that the run brought forth, from the one that `after` names."""

    id: str
    state: State
    wave: int
    after: str = ""
    attempts: int = 0
    exit_code: int | None = None
    signal: int | None = None
    reason: str | None = None
    tolerated: bool = False
    started_s: float | None = None
    ended_s: float | None = None
    duration_s: float = 0.0
    usage: Usage | None = None
    log: str | None = None
    apart: bool = False
    log_bytes: int = 0
    stdout_bytes: int = 0
    taken_from: str | None = None
    decision: StepDecided | None = None

    @property
    def stdout(self) -> str | None:
        """Where its stdout alone lies; None where it was not kept apart."""
        return stdout_log(self.log) if self.log and self.apart else None


def folder_of(ledger: Ledger, id: str) -> Path:
    return ledger.path.parent / "runs" / id


def view(ledger: Ledger, run: Run) -> RunView:
    folder = folder_of(ledger, run.id)
    standing = _standing(run, folder)
    if standing is Standing.DIED:  # or it has come to its end between the two looks
        run = run_of(ledger, run.id) or run
        standing = _standing(run, folder)
    query = "SELECT count(*) FROM steps WHERE place >= ? AND place < ? AND outcome = 'completed'"
    (completed,) = ledger.db.execute(query, places(run.no)).fetchone()
    return RunView(run, standing, completed, folder)


def _standing(run: Run, folder: Path) -> Standing:
    if run.status is not None:
        return Standing(run.status.value)
    return Standing.RUNNING if is_held(folder) else Standing.DIED


class Watch:
    """A run that is looked at again and again: each time only what is new is read."""

    def __init__(self, ledger: Ledger, run: Run) -> None:
        self._ledger = ledger
        self._fold = _Fold()
        self._seen = 0
        self.view = view(ledger, run)

    def look(self) -> Mapping[str, StepView]:
        """The steps as they are now. `view` is not older than they are."""
        self.view = view(self._ledger, self.view.run)
        no = self.view.run.no
        last = self._seen
        self._ledger.db.execute("BEGIN")  # both tables as they were at one moment
        for event in told(self._ledger, no, last):
            self._fold.see(event)
            self._seen = max(self._seen, event.seq)
        for end in done(self._ledger, no, last):
            self._fold.end(end)
            self._seen = max(self._seen, end.seq)
        self._ledger.db.execute("COMMIT")
        return self._fold.steps

    def steps(self) -> tuple[StepView, ...]:
        """Every step, in the order of the waves; below each the steps that it brought forth."""
        self.look()
        found = self._fold.in_order()
        return found if self.view.standing is Standing.RUNNING else tuple(map(_at_rest, found))


_rest = dict.fromkeys((State.RUNNING, State.STOPPING, State.RETRYING), State.LOST)
_rest |= dict.fromkeys((State.WAITING, State.QUEUED), State.NOT_STARTED)


def _at_rest(step: StepView) -> StepView:
    return step._replace(state=_rest.get(step.state, step.state))


class _Fold:
    """From events to where every step is."""

    def __init__(self) -> None:
        self.steps: dict[str, StepView] = {}
        self.below: dict[str, list[str]] = {}

    def see(self, event: Told) -> None:
        fields = event.fields
        if event.kind == "RunStarted":
            for number, wave in enumerate(fields[2], 1):
                self.steps |= {id: StepView(id, State.WAITING, number) for id in wave}
        elif event.kind == "StepsAdded":
            for new in fields[0]:
                id, _, after = new[:3]
                self.steps[id] = StepView(id, State.WAITING, 0, after)
                self.below.setdefault(after, []).append(id)
        elif event.kind == "MemoryShort" and fields[0] in self.steps:
            self._note_short(*fields[:4])
        elif event.kind == "LeaseAwaited" and fields[0] in self.steps:
            words = lease_words(LeaseAwaited(fields[0], tuple(fields[1])))
            self.steps[fields[0]] = self.steps[fields[0]]._replace(state=State.QUEUED, reason=f"w{words[1:]}")
        elif event.kind in _changes and fields[0] in self.steps:
            state = _changes[event.kind]
            self._move(fields[0], event, state)

    def _note_short(self, id: str, needed_bytes: int, left_bytes: int, starts: bool) -> None:
        if not starts:
            reason = f"waits for memory: {memory_figures(needed_bytes, left_bytes)}"
            self.steps[id] = self.steps[id]._replace(state=State.QUEUED, reason=reason)

    def _move(self, id: str, event: Told, state: State) -> None:
        change: dict[str, Any] = {"state": state}
        if state is State.RUNNING:
            _, attempt, _, _, _, log, apart = event.fields[:7]
            change |= {"attempts": attempt, "started_s": event.elapsed_s, "log": log or None, "apart": bool(apart)}
            change["reason"] = None
        elif state in (State.STOPPING, State.RETRYING):
            change["reason"] = event.fields[-1] if state is State.STOPPING else event.fields[3]
        self.steps[id] = self.steps[id]._replace(**change)

    def end(self, end: Done) -> None:
        before = self.steps.get(end.id, StepView(end.id, State.WAITING, 0))
        taken = {name: getattr(end, name) for name in _taken}
        self.steps[end.id] = before._replace(state=State(end.outcome.value), **taken)

    def in_order(self) -> tuple[StepView, ...]:
        found: list[StepView] = []
        waiting = [id for id in reversed(self.steps) if not self.steps[id].after]
        while waiting:
            id = waiting.pop()
            found.append(self.steps[id])
            waiting += reversed(self.below.get(id, ()))
        return tuple(found)


_changes = {
    "StepQueued": State.QUEUED,
    "StepStarted": State.RUNNING,
    "StepStopping": State.STOPPING,
    "StepRetrying": State.RETRYING,
}
_taken = tuple(name for name in StepView._fields if name in Done._fields and name not in ("id", "wave", "after"))
