"""CSV (RFC 4180), a row for each attempt; a step that never ran has one row, without the columns of attempts.

Times are seconds after the start of the run. `waited_s`: how long the step waited before this attempt for anything but
its needs; the columns after it say for what.
"""

from collections.abc import Iterator

from stepwave.core.telling.exporting.reading import Reading, why
from stepwave.core.telling.exporting.texts import csv_cell
from stepwave.core.telling.story import Attempt, Cause, StepStory

COLUMNS = (
    *("run", "step", "name", "stage", "wave", "state", "tolerated", "attempt", "attempts", "begin_s", "end_s", "ran_s"),
    *("waited_s", "waited_pool_s", "waited_slot_s", "waited_limit_s", "waited_retry_s", "slot", "exit_code", "signal"),
    *("user_s", "system_s", "peak_rss_bytes", "log_bytes", "reason", "taken_from", "file", "line", "log"),
)

Cell = str | float | int | None


def as_csv(reading: Reading) -> Iterator[str]:
    yield _line(COLUMNS)
    for step in reading.story.steps:
        for attempt in step.attempts or (None,):
            yield _line(_row(reading, step, attempt))


def _line(cells: tuple[Cell, ...]) -> str:
    return ",".join(map(_cell, cells)) + "\r\n"


def _cell(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return csv_cell(cell)
    return f"{cell:.6f}".rstrip("0").rstrip(".") if isinstance(cell, float) else str(cell)


def _row(reading: Reading, step: StepStory, attempt: Attempt | None) -> tuple[Cell, ...]:
    drawn = step.drawn
    return (
        reading.story.run,
        drawn.id,
        drawn.name,
        drawn.stage.value,
        drawn.wave,
        reading.state(step),
        str(step.tolerated).lower(),
        attempt.number if attempt else 0,
        len(step.attempts),
        *_times(reading, step, attempt),
        *_measures(attempt),
        _reason(step, attempt),
        step.taken_from,
        reading.path(drawn.file),
        drawn.line if drawn.file and drawn.line else None,
        reading.log_path(attempt) if attempt else None,
    )


def _times(reading: Reading, step: StepStory, attempt: Attempt | None) -> tuple[Cell, ...]:
    if attempt is None:
        return (None, step.ended_s, None, *_waited(step, 0.0, float("inf")))
    before = next((one.end_s or 0.0 for one in step.attempts if one.number == attempt.number - 1), 0.0)
    ran_s = reading.end_of(attempt) - attempt.begin_s
    return attempt.begin_s, attempt.end_s, ran_s, *_waited(step, before, attempt.begin_s)


def _waited(step: StepStory, after_s: float, before_s: float) -> tuple[Cell, ...]:
    """In all, and for each cause, between two moments."""
    causes = (Cause.POOL, Cause.SLOT, Cause.LIMIT, Cause.RETRY)
    sums = dict.fromkeys(causes, 0.0)
    for wait in step.waits:
        if wait.cause in sums and after_s <= wait.begin_s < before_s:
            sums[wait.cause] += wait.end_s - wait.begin_s
    return sum(sums.values()), *sums.values()


def _measures(attempt: Attempt | None) -> tuple[Cell, ...]:
    if attempt is None:
        return (None,) * 7
    slot = attempt.slot if attempt.slot >= 0 else None
    used = attempt.usage or (None, None, None)
    return slot, attempt.exit_code, attempt.signal, *used, attempt.log_bytes


def _reason(step: StepStory, attempt: Attempt | None) -> str:
    if attempt is not None and attempt is not step.attempts[-1]:
        return attempt.reason or ""
    return why(step)
