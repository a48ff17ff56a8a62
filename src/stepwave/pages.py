"""Plans and recorded runs as something to look at: a page of HTML, a drawing as SVG or PNG."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from stepwave.core.diagnostics import COMMAND_LINE, Diagnostic, Place, error

if TYPE_CHECKING:
    from stepwave.core.plan import Plan
    from stepwave.core.telling.page.facts import Fact, Tail
    from stepwave.core.telling.picture import Picture
    from stepwave.core.telling.story import Story

_failed_lines, _other_lines = 200, 40


def page_of_run(story: "Story", *, logs: bool = True) -> str:
    """The whole run as one HTML document. Without `logs` nothing that a step printed is in it.

    May raise LedgerUnusable, an OSError, when the run's record cannot be read any more.
    """
    from stepwave.core.telling.page.embedded import values_of_run
    from stepwave.core.telling.page.page import make_page
    from stepwave.core.telling.picture import standing_of
    from stepwave.edge.assets import page_assets

    values = values_of_run(story, _tails(story) if logs else {}, _facts(story))
    title = f"{values['run']['title']}: {standing_of(story)}, run {story.run}"
    return make_page(values, title, page_assets())


def page_of_plan(plan: "Plan") -> str:
    """What would run, as one HTML document."""
    from stepwave.core.running.fingerprint import definitions
    from stepwave.core.telling.page.embedded import values_of_plan
    from stepwave.core.telling.page.facts import facts_of
    from stepwave.core.telling.page.page import make_page
    from stepwave.edge.assets import page_assets

    parts = definitions(plan.workflow)
    scripts = {step.id: {"run": step.script} for step in plan.steps.values() if step.script is not None}
    facts = {id: facts_of({**each, **scripts.get(id, {})}, ran=False) for id, each in parts.items()}
    values = values_of_plan(plan, facts)
    return make_page(values, values["run"]["title"], page_assets())


def _tails(story: "Story") -> "Mapping[str, Tail]":
    from stepwave.core.telling.page.facts import tails_of
    from stepwave.records import tails

    found = tails(story, failed=_failed_lines, others=_other_lines)
    steps = (
        (step, found[step.attempts[-1].log]) for step in story.steps if step.attempts and step.attempts[-1].log in found
    )
    return tails_of((step, tail.lines, tail.whole) for step, tail in steps)


def _facts(story: "Story") -> "dict[str, tuple[Fact, ...]]":
    """What each step was when the run began; nothing where no ledger has that."""
    from stepwave.core.telling.page.facts import facts_of
    from stepwave.edge.ledger.find import reading
    from stepwave.edge.ledger.reader import definitions_of, run_of

    ran = {step.drawn.id for step in story.steps if step.attempts}
    with reading([Path(story.folder).parent.parent]) as ledger:
        run = ledger and run_of(ledger, story.run)
        parts: Mapping[str, Mapping[str, str]] = definitions_of(ledger, run.no) if ledger and run else {}
    return {id: facts_of(each, ran=id in ran) for id, each in parts.items()}


# --- drawings --------------------------------------------------------------------------------------------------------


def png_of_plan(plan: "Plan") -> bytes | Diagnostic:
    """The drawing in pixels, as a browser shows the SVG; where there is none, as Graphviz draws it."""
    from stepwave.core.telling.draw import draw
    from stepwave.core.telling.picture import picture_of_plan

    return _png(picture_of_plan(plan), lambda: draw(plan, "dot"))


def png_of_run(story: "Story") -> bytes | Diagnostic:
    """As `png_of_plan`."""
    from stepwave.core.telling.draw_run import as_dot
    from stepwave.core.telling.picture import picture_of_run

    return _png(picture_of_run(story), lambda: "\n".join(as_dot(story)))


def _png(picture: "Picture", as_dot: Callable[[], str]) -> bytes | Diagnostic:
    from stepwave.core.telling.svg import as_svg, size_of_svg
    from stepwave.edge import png

    browser, dot = png.browser(), png.dot()
    problem = None
    if browser:
        try:
            return png.by_browser(browser, as_svg(picture, dark=False), *size_of_svg(picture))
        except png.CannotDraw as refused:
            problem = refused
    if dot:
        try:
            return png.by_dot(dot, as_dot())
        except png.CannotDraw as refused:
            problem = refused
    message = f"the picture could not be made: {problem}" if problem else "neither a browser nor Graphviz is installed"
    return error("cannot-draw", message, _here, "install `chromium` or `graphviz`; `--format svg` needs nothing")


_here = Place(COMMAND_LINE)
