"""What all runs together know of a step: how long it takes, and what it uses.

Rule 1  A step is known by its workflow and id, together with a print of its command and inputs. A step whose print is
        known under another id or in another file is that step; one whose print has changed begins anew, and until then
        what it was before stands for it.
Rule 2  Only completed attempts count: not failed, stopped, reused or skipped ones.
Rule 3  A figure is the mean of the first runs, and later an exponentially weighted one: the latest run counts for
        WEIGHT (Roberts, "Control Chart Tests Based on Geometric Moving Averages", 1959). A peak of memory that grew
        counts at once: it is better to expect too much.
Rule 4  It is written when the run ends, or once what has not been written stands for a minute of work: a step costs
        next to nothing, and a run that is killed loses next to nothing. What was known well enough already (within
        SAME_SHARE or SAME_S) is not written again.
"""

import json
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from stepwave.core.events import Outcome, StepFinished
from stepwave.core.origin import Origin
from stepwave.core.plan import Learned, Plan

if TYPE_CHECKING:
    import sqlite3

Statement = tuple[str, tuple[Any, ...]]
Prints = Callable[[], Mapping[str, str]]
"""The print of every step, by id; asked for once."""

WEIGHT = 0.3
SAME_SHARE = 0.05
SAME_S = 0.005
_BATCH_S = 60.0

_figures = "runs, duration_s, user_s, system_s, peak_rss_bytes"
_same = "(print = excluded.print OR '' IN (print, excluded.print))"
_weight = f"CASE WHEN {_same} THEN max(1.0 / (runs + 1), {WEIGHT}) ELSE 1.0 END"


def _averaged(name: str) -> str:
    return f"{name} + (excluded.{name} - {name}) * ({_weight})"


_learn = f"""
INSERT INTO learned VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?) ON CONFLICT (flow, step) DO UPDATE SET
    print = CASE excluded.print WHEN '' THEN print ELSE excluded.print END,
    runs = CASE WHEN {_same} THEN runs + 1 ELSE 1 END,
    duration_s = {_averaged("duration_s")},
    user_s = coalesce({_averaged("user_s")}, excluded.user_s, user_s),
    system_s = coalesce({_averaged("system_s")}, excluded.system_s, system_s),
    peak_rss_bytes = coalesce(
        CAST(max(excluded.peak_rss_bytes, {_averaged("peak_rss_bytes")}) AS INTEGER),
        excluded.peak_rss_bytes, peak_rss_bytes
    ),
    learned_at = excluded.learned_at
"""


def flow_of(origin: Origin, workflow: str) -> str:
    """How a workflow is called in `learned`: one that comes from no file by its own id."""
    if not origin.file:
        return f":{workflow}"
    return f"{origin.file}#{origin.name}" if origin.name else origin.file


class Learning:
    """For one run. Whatever it does may raise sqlite3.Error."""

    def __init__(self, flow: str, prints: Prints) -> None:
        self._flow = flow
        self._find_prints = prints
        self._prints: Mapping[str, str] | None = None
        self._wholes: dict[str, str] = {}
        self._settled: dict[str, Learned] = {}
        self._noted: list[StepFinished] = []
        self._noted_s = 0.0

    def _known_prints(self) -> Mapping[str, str]:
        if self._prints is None:
            self._prints = self._find_prints()
        return self._prints

    # --- what the run shows -------------------------------------------------------------------------

    def join(self, step: str, whole: str) -> None:
        """A step that is in no file: its print is that of the step it came from."""
        self._wholes[step] = whole

    def note(self, end: StepFinished) -> None:
        """A step has ended: rule 2."""
        if end.outcome is Outcome.COMPLETED and end.attempts and end.duration_s > 0:
            self._noted.append(end)
            self._noted_s += end.duration_s

    @property
    def is_due(self) -> bool:
        return self._noted_s > _BATCH_S

    def rows(self) -> list[Statement]:
        """What has not been written yet."""
        noted, self._noted, self._noted_s = self._noted, [], 0.0
        settled, flow, now = self._settled, self._flow, time.time()
        news = [end for end in noted if end.step not in settled or _differs(end, settled[end.step])]
        if not news:
            return []
        prints, wholes = self._known_prints(), self._wholes
        return [
            (
                _learn,
                (
                    *(flow, end.step, prints.get(wholes.get(end.step, end.step), ""), end.duration_s),
                    *(end.usage or _unmeasured),
                    now,
                ),
            )
            for end in news
        ]

    # --- what is known ------------------------------------------------------------------------------

    def recall(self, db: "sqlite3.Connection", plan: Plan) -> dict[str, Learned]:
        """By step; those of the parts that a `forEach` had are among them."""
        if db.execute("SELECT 1 FROM learned LIMIT 1").fetchone() is None:
            return {}
        rows = db.execute(f"SELECT step, print, {_figures} FROM learned WHERE flow = ?", (self._flow,))
        prints, steps, settled = self._known_prints(), plan.steps, self._settled
        before: dict[str, Learned] = {}
        for row in rows:
            step = whole = row[0]
            if step not in steps and (whole := step.partition("[")[0]) not in steps:
                continue  # it is in the file no more
            known = settled if prints.get(whole, row[1]) == row[1] else before
            known[step] = Learned._make(row[2:])
        wanted = {step: prints[step] for step in steps if step not in settled and step in prints}
        elsewhere = _by_print(db, set(wanted.values()))
        found = {step: elsewhere[print] for step, print in wanted.items() if print in elsewhere}
        return before | found | settled if before or found else settled


def _differs(end: StepFinished, known: Learned) -> bool:
    """Whether a run has shown something new."""
    if abs(end.duration_s - known.duration_s) > max(SAME_S, SAME_SHARE * known.duration_s):
        return True
    peak, new = known.peak_rss_bytes, end.usage and end.usage.peak_rss_bytes
    return new is not None and (peak is None or abs(new - peak) > SAME_SHARE * peak)


_unmeasured = (None, None, None)


def _by_print(db: "sqlite3.Connection", prints: set[str]) -> dict[str, Learned]:
    """The latest of each: all of the table is looked at, but only for steps that are new or have changed."""
    if not prints:
        return {}
    query = f"SELECT print, {_figures} FROM learned WHERE print IN (SELECT value FROM json_each(?)) ORDER BY learned_at"
    rows = db.execute(query, (json.dumps(sorted(prints)),))
    return {print: Learned(*figures) for print, *figures in rows}
