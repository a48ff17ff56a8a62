"""Runs in the forms that other programs read: `stepwave export`, and the files that `run` writes at its end."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from stepwave import __version__, pages, records
from stepwave.cli import ci, terminal
from stepwave.core.diagnostics import Diagnostic
from stepwave.core.plan import Plan
from stepwave.core.summary import Summary
from stepwave.core.telling.exporting import export as written
from stepwave.core.telling.exporting.reading import Reading
from stepwave.core.telling.exporting.sections import Github
from stepwave.past import file_of

if TYPE_CHECKING:
    from stepwave.core.telling.story import Story
    from stepwave.core.telling.witness import Witness

_with_tails = {"junit": 20, "markdown": 0}
"""Forms in which the output of steps is quoted, and how many lines of those that completed."""


def export(run: str | None, file: str | None, *, format: str, output: str | None) -> int:
    """0, or 2 when there is no such run."""
    found = records.story(run, file)
    if isinstance(found, Diagnostic):
        terminal.tell_findings([found], {}, "auto")
        return 2
    return _write(read(found), format, output)


def read(story: "Story") -> Reading:
    return Reading(story, root=ci.root(os.environ), traceparent=os.environ.get("TRACEPARENT"))


def _write(reading: Reading, format: str, output: str | None) -> int:
    if format in _with_tails:
        reading = reading._replace(tails=records.tails(reading.story, others=_with_tails[format]))
    return terminal.write("".join(written(reading, format)), output)


def story_of(plan: Plan, summary: Summary, witness: "Witness | None") -> "Story":
    """The run that has just ended, as it was recorded; where it was not, as it was seen."""
    if witness is None and (recorded := records.story_in(Path(summary.folder))) is not None:
        return recorded
    assert witness is not None
    return witness.story(summary, file_of(plan.workflow.place.path), __version__)


def after(story: "Story", system: "ci.System | None", junit: str | None, trace: str | None, report: str | None) -> int:
    """What was asked for is written, and a CI system told; the exit code, 0 or 3."""
    reading = read(story)
    files = (("junit", junit), ("perfetto", trace))
    codes = [_write(reading, format, path) for format, path in files if path is not None]
    if report is not None:
        codes.append(terminal.write(pages.page_of_run(story), report))
    if isinstance(system, Github):
        ci.tell(reading._replace(tails=records.tails(story)), os.environ)
    return max(codes, default=0)
