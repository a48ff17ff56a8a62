"""`report`, and the pictures of `graph`: of a file, as it would run, and of a recorded run."""

import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from stepwave import api, pages, records
from stepwave.cli import terminal
from stepwave.core.diagnostics import COMMAND_LINE, Diagnostic, Place, error

if TYPE_CHECKING:
    from stepwave.core.telling.story import Story
    from stepwave.core.telling.style import Style

_here = Place(COMMAND_LINE)


def report(run: str | None, file: str | None, *, output: str | None, logs: bool, show: bool) -> int:
    """Writes the page, and prints where it is. 0; 2 when there is no such run; 3 when it cannot be written."""
    found = records.story(run, file)
    if isinstance(found, Diagnostic):
        return _refuse(found)
    page = pages.page_of_run(found, logs=logs)
    if output == "-":
        return terminal.write(page)
    path = output or f"stepwave-report-{found.run}.html"
    code = terminal.save(path, page) or terminal.write(f"{path}\n")
    if code == 0 and show:
        _open(path)
    return code


def _open(path: str) -> None:
    """In whatever shows pages here; where nothing does, that is said."""
    import webbrowser

    if not webbrowser.open(Path(path).resolve().as_uri()):
        terminal.talk(["stepwave: no browser was found to show it"])


# --- graph -----------------------------------------------------------------------------------------------------------


def draw(file: str | None, run: str | None, *, format: str, output: str | None, name: str | None, color: str) -> int:
    """A workflow as it would run, a recorded run, or the calls of a Python file. 0; 2 when there is no such thing."""
    if run is not None:
        if name is not None:
            return _refuse(error("conflicting-options", "`--run` and `--name` exclude each other", _here))
        return _of_run(run, file, format, output, color)
    if file is None:
        return _refuse(error("which-workflow", "which workflow is to be drawn?", _here, "name a file, or `--run`"))
    if file.partition(":")[0].endswith((".py", ".pyw")):
        return _of_calls(file, format, output, color)
    return _of_file(file, format, output, name, color)


def _of_file(file: str, format: str, output: str | None, name: str | None, color: str) -> int:
    loaded = api.load(api.locate(file), name=name)
    if loaded.workflow is None:
        terminal.tell_findings(loaded.diagnostics, {loaded.path: loaded.text, **loaded.texts}, color)
        return 2
    plan = api.plan(loaded.workflow)
    if format == "html":
        return terminal.write(pages.page_of_plan(plan), output)
    if format == "svg":
        from stepwave.core.telling.picture import picture_of_plan
        from stepwave.core.telling.svg import as_svg

        return terminal.write(as_svg(picture_of_plan(plan)), output)
    if format == "png":
        return _png(lambda: pages.png_of_plan(plan), output)
    from stepwave.core.telling.draw import draw as as_words

    return terminal.write(as_words(plan, format) + "\n", output)  # type: ignore[arg-type]


def _of_calls(file: str, format: str, output: str | None, color: str) -> int:
    if format in ("svg", "html", "png"):
        return _refuse(error("cannot-draw", f"calls are not drawn as {format}", _here, "`--format dot` or `mermaid`"))
    from stepwave.cli.code import calling

    drawn = "tree" if format == "text" else format
    return calling.run(calling.Asked(file, format=drawn, output=output, color=color))


def _of_run(run: str, file: str | None, format: str, output: str | None, color: str) -> int:
    found = records.story(run, file)
    if isinstance(found, Diagnostic):
        return _refuse(found)
    if format == "png":
        return _png(lambda: pages.png_of_run(found), output)
    return terminal.write(_drawn(found, format, color), output)


def _drawn(story: "Story", format: str, color: str) -> str:
    from stepwave.core.telling import draw_run

    if format == "html":
        return pages.page_of_run(story, logs=False)
    if format == "svg":
        from stepwave.core.telling.picture import picture_of_run
        from stepwave.core.telling.svg import as_svg

        return as_svg(picture_of_run(story))
    if format == "mermaid":
        from stepwave.core.telling.exporting.mermaid import as_mermaid
        from stepwave.core.telling.exporting.reading import Reading

        return _lines(as_mermaid(Reading(story)))
    if format == "json":
        return json.dumps(draw_run.as_document(story), indent=2) + "\n"
    if format == "dot":
        return _lines(draw_run.as_dot(story))
    return _lines(draw_run.as_text(story, _style(color)))


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _style(color: str) -> "Style":
    from stepwave.core.telling.style import can_show_unicode, make_style, wants_color

    colored = wants_color(color, os.environ, sys.stdout.isatty())
    return make_style(color=colored, unicode=can_show_unicode(sys.stdout.encoding, os.environ))


def _png(draw: Callable[[], bytes | Diagnostic], output: str | None) -> int:
    if output in (None, "-") and sys.stdout.isatty():
        finding = error("cannot-draw", "pixels cannot be drawn on a terminal", _here, "write them to a file: `-o FILE`")
        return _refuse(finding)
    made = draw()
    return _refuse(made) if isinstance(made, Diagnostic) else terminal.write(made, output)


def _refuse(found: Diagnostic) -> int:
    terminal.tell_findings([found], {}, "auto")
    return 2
