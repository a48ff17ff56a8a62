"""A recorded run as a Story: the sketch of its plan and its events, read back as they happened.

Every function may raise sqlite3.Error; `connect.telling` turns it into a sentence.
"""

import json
import time
import zlib
from collections.abc import Callable, Iterator
from heapq import merge
from typing import Any, get_args

from stepwave.core.events import (
    BreakerOpened,
    Event,
    LeaseAwaited,
    MemoryShort,
    NewStep,
    RunFinished,
    RunStarted,
    RunStopping,
    StageStarted,
    Status,
    StepDecided,
    StepFinished,
    StepLeftProcesses,
    StepLogCut,
    StepQueued,
    StepRetrying,
    StepsAdded,
    StepStarted,
    StepStopping,
    StepTested,
    Usage,
    WidthChanged,
)
from stepwave.core.model import Stage
from stepwave.core.telling.retell import Cover, retell
from stepwave.core.telling.sketch import sketch_from
from stepwave.core.telling.story import Sketch, Story
from stepwave.edge.ledger.connect import Ledger
from stepwave.edge.ledger.reader import Done, Run, Told, done, told
from stepwave.edge.ledger.view import Standing, view


def story_of(ledger: Ledger, run: Run) -> Story:
    """As it is at this moment."""
    ledger.db.execute("BEGIN")  # all of it as it was at one moment
    try:
        seen = view(ledger, run)
        run = seen.run
        end = RunFinished(run.status, run.exit_code or 0, run.reason) if run.status else None
        (version,) = ledger.db.execute("SELECT version FROM runs WHERE no = ?", (run.no,)).fetchone()
        alive = seen.standing is Standing.RUNNING
        cover = Cover(
            run=run.id,
            workflow=run.workflow,
            name=run.name,
            file=run.file,
            folder=str(seen.folder),
            started_at=run.started_at,
            alive=alive,
            now_s=time.time() - run.started_at if alive else run.ended_s,
            resumed_from=run.resumed_from,
            stepwave=version,
            end=end,
        )
        return retell(cover, sketch_of(ledger, run.no), happened(ledger, run.no))
    finally:
        ledger.db.execute("COMMIT")


def sketch_of(ledger: Ledger, no: int) -> Sketch | None:
    """None for a run that version 1 has recorded, or one without a plan."""
    (packed,) = ledger.db.execute("SELECT sketch FROM runs WHERE no = ?", (no,)).fetchone()
    return sketch_from(json.loads(zlib.decompress(packed))) if packed else None


def happened(ledger: Ledger, no: int) -> Iterator[tuple[float, Event]]:
    """Every event with its moment, in order. Kinds and fields that this version does not know are left out."""
    ends = ((end.seq, end.ended_s, _finished(end)) for end in done(ledger, no))
    others = ((event.seq, event.elapsed_s, _event(event)) for event in _by_seq(told(ledger, no)))
    for _, at, event in merge(ends, others, key=lambda item: item[0]):
        if event is not None:
            yield round(at, 6), event


def _by_seq(events: Iterator[Told]) -> list[Told]:
    """A turn stands in the place of its first event, or of the last step that ended in it: mostly sorted already."""
    return sorted(events, key=lambda event: event.seq)


def _finished(end: Done) -> StepFinished:
    return StepFinished(
        step=end.id,
        outcome=end.outcome,
        attempts=end.attempts,
        exit_code=end.exit_code,
        signal=end.signal,
        reason=end.reason,
        tolerated=end.tolerated,
        duration_s=end.duration_s,
        queued_s=end.queued_s,
        pid=end.pid,
        usage=end.usage,
        log_bytes=end.log_bytes,
        stdout_bytes=end.stdout_bytes,
        taken_from=end.taken_from,
    )


def _event(event: Told) -> Event | None:
    make = _makers.get(event.kind)
    return make(*event.fields[: _fields[event.kind]]) if make else None


def _new_step(id: str, name: str, after: str, wave: int, needs: Any, resources: Any, stage: str) -> NewStep:
    units = tuple((pool, count) for pool, count in resources)
    return NewStep(id, name, after, wave, tuple(needs), units, Stage(stage))


_fields = {kind.__name__: len(kind._fields) for kind in get_args(Event)}
_makers: dict[str, Callable[..., Event]] = {
    "RunStarted": lambda workflow, name, waves, *rest: RunStarted(workflow, name, tuple(map(tuple, waves)), *rest),
    "StepQueued": StepQueued,
    "StepStarted": lambda step, attempt, argv, *rest: StepStarted(step, attempt, tuple(argv), *rest),
    "StepStopping": StepStopping,
    "StepRetrying": lambda *fields: StepRetrying(*fields[:6])._replace(usage=Usage(*fields[6]) if fields[6] else None),
    "StepLeftProcesses": lambda step, attempt, found: StepLeftProcesses(step, attempt, tuple(found)),
    "StepLogCut": StepLogCut,
    "StepTested": StepTested,
    "StepDecided": lambda step, result, chosen, error: StepDecided(step, result, tuple(chosen), error),
    "StepsAdded": lambda steps: StepsAdded(tuple(_new_step(*step[: len(NewStep._fields)]) for step in steps)),
    "StageStarted": lambda stage, steps: StageStarted(Stage(stage), tuple(steps)),
    "WidthChanged": WidthChanged,
    "MemoryShort": MemoryShort,
    "LeaseAwaited": lambda step, pools: LeaseAwaited(step, tuple(pools)),
    "BreakerOpened": BreakerOpened,
    "RunStopping": RunStopping,
    "RunFinished": lambda status, *rest: RunFinished(Status(status), *rest),
}
