"""What `why` and `compare` print: what the record of a run says about it afterwards, or while it goes on."""

import json
import os
import sys

from stepwave import records
from stepwave.cli import terminal
from stepwave.core.diagnostics import COMMAND_LINE, Diagnostic, Place, did_you_mean, error
from stepwave.core.telling import comparing, reasons
from stepwave.core.telling.because import because
from stepwave.core.telling.story import Story
from stepwave.core.telling.style import Style, can_show_unicode, make_style, wants_color
from stepwave.core.text import one_line


def why(step: str, run: str | None, file: str | None, *, color: str, json: bool) -> int:
    """Sentences, or a document. 0; 2 when there is no such run or step."""
    story = records.story(run, file)
    if isinstance(story, Diagnostic):
        return _refuse(story, color)
    known = [one.drawn.id for one in story.steps]
    if step not in known:
        return _refuse(_unknown(step, story, known), color)
    found = because(story, step)
    if json:
        plain = make_style(color=False, unicode=True)
        return _document(reasons.document(story, found, list(reasons.Telling(story, found, plain).lines())))
    return _print(list(reasons.Telling(story, found, _style(color)).lines()))


def _unknown(step: str, story: Story, known: list[str]) -> Diagnostic:
    parts = [id for id in known if id.startswith(f"{step}[")]
    help = f"its parts are {', '.join(one_line(id, 60) for id in parts[:5])}" if parts else did_you_mean(step, known)
    message = f"run {story.run} has no step `{one_line(step, 60)}`"
    return error("unknown-step", message, Place(COMMAND_LINE), help or f"`stepwave status {story.run}` lists them")


def compare(before: str, after: str | None, file: str | None, *, every: bool, color: str, json: bool) -> int:
    """A table, or a document. 0 whatever has changed; 2 when there is no such run."""
    stories = []
    for run in (before, after):
        story = records.story(run, file)
        if isinstance(story, Diagnostic):
            return _refuse(story, color)
        stories.append(story)
    found = comparing.compare(*stories)
    if json:
        return _document(comparing.document(found))
    return _print(list(comparing.lines(found, _style(color), every=every)))


def _refuse(found: Diagnostic, color: str) -> int:
    terminal.tell_findings([found], {}, color)
    return 2


def _style(color: str) -> Style:
    colored = wants_color(color, os.environ, sys.stdout.isatty())
    return make_style(color=colored, unicode=can_show_unicode(sys.stdout.encoding, os.environ))


def _print(lines: list[str]) -> int:
    return terminal.write("".join(f"{line}\n" for line in lines))


def _document(document: object) -> int:
    return terminal.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
