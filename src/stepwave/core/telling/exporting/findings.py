"""Failed steps as findings at their lines of the workflow: SARIF 2.1.0 and the annotations of GitHub Actions."""

from collections.abc import Iterator

from stepwave.core.diagnostics import Diagnostic, Place, Severity
from stepwave.core.telling import sarif
from stepwave.core.telling.exporting.reading import Reading, failures, why
from stepwave.core.telling.exporting.texts import shown
from stepwave.core.telling.printers import as_github
from stepwave.core.telling.story import StepStory
from stepwave.core.text import one_line

_LINES = 10
"""Of a step's output, in an annotation."""


def as_sarif(reading: Reading) -> Iterator[str]:
    """Of steps that stand in no file there is nothing to point at: they are told at the workflow."""
    # JSON spells the sign as well, and means the same: see `texts.json_text`.
    yield sarif.as_sarif(list(findings(reading)), reading.story.stepwave or "0").replace("##", "\\u0023#") + "\n"


def annotations(reading: Reading, limit: int = 10) -> str:
    """Workflow commands, a line each; of GitHub's ten for each kind of annotation a step must not take more."""
    return as_github(list(findings(reading))[:limit])


def findings(reading: Reading) -> Iterator[Diagnostic]:
    """Those of failures that were not tolerated first."""
    steps = sorted(failures(reading.story), key=lambda step: step.tolerated)
    return (_finding(reading, step) for step in steps)


def _finding(reading: Reading, step: StepStory) -> Diagnostic:
    drawn = step.drawn
    path = reading.path(drawn.file or reading.story.file) or "workflow"
    place = Place(path, drawn.line, 1, drawn.line, 1) if drawn.file and drawn.line else Place(path)
    did = f"{reading.state(step)}, and was tolerated" if step.tolerated else reading.state(step)
    reason = why(step)
    severity = Severity.WARNING if step.tolerated else Severity.ERROR
    message = f"step `{one_line(drawn.id)}` {did}{f': {one_line(reason)}' if reason else ''}"
    help = f"`stepwave logs {one_line(drawn.id, 80)} {reading.story.run}` prints what it printed"
    if ended := _ended(reading, step):
        message, help = f"{message}\n{ended}", ""
    return Diagnostic(severity, f"step-{reading.state(step)}", message, place, help or None)


def _ended(reading: Reading, step: StepStory) -> str:
    """The last lines of its output that say something, where they are known."""
    lines = reading.tail(step.attempts[-1]).lines if step.attempts else ()
    said = [shown(line).rstrip()[:500] for line in lines if line.strip()]
    return "\n".join(said[-_LINES:])
