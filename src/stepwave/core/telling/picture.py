"""What a drawing of a plan or of a run shows: boxes with their words, and the layout that they stand in."""

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from stepwave.core.model import Stage, Step, StepType
from stepwave.core.plan import Plan
from stepwave.core.telling.layout.layout import Layout, lay_out
from stepwave.core.telling.looks import LOOKS, Look, busy_s, look_of
from stepwave.core.telling.sketch import sketch_of
from stepwave.core.telling.story import Drawn, StepStory, Story
from stepwave.core.telling.style import cells
from stepwave.core.telling.wording import STAGE_NAMES, rule_words
from stepwave.core.text import duration, one_line, plural

BOX_HEIGHT = 44.0
TITLE_SIZE, DETAIL_SIZE = 12.5, 11.0
_TITLE_CELL, _DETAIL_CELL = 7.6, 6.2
"""Pixels for one cell of a text: a bit more than usual fonts take, so that nothing is cut off in a wider one."""
_TITLE_CELLS, _DETAIL_CELLS = 30, 38
_MARGINS = 50.0
_NARROWEST = 104.0


class Shape(Enum):
    """A step; a condition, whose answer says which way it goes; one that becomes several."""

    STEP = "step"
    CONDITION = "condition"
    FAN_OUT = "fan_out"


class Box(NamedTuple):
    """`title` and `detail` fit the box; `tip` is all that can be said in a few lines."""

    title: str
    detail: str
    tip: str
    look: Look
    shape: Shape
    critical: bool = False


class Picture(NamedTuple):
    """`boxes` belong to the first places of the layout. `bands` has a heading for each band of it."""

    title: str
    subtitle: str
    boxes: tuple[Box, ...]
    layout: Layout
    bands: tuple[str, ...]
    note: str = ""
    path: tuple[int, ...] = ()
    """The critical path, by numbers of boxes."""


# --- of a plan -------------------------------------------------------------------------------------------------------


def picture_of_plan(plan: Plan) -> Picture:
    drawn = sketch_of(plan).steps
    boxes = [
        Box(_middle(step.id, _TITLE_CELLS), _cut(_said(step)), one_line(step.id), LOOKS["planned"], _shape(step.type))
        for step in plan.steps.values()
    ]
    width = "one at a time" if plan.max_concurrency == 1 else f"at most {plan.max_concurrency} at once"
    counts = f"{plural(len(drawn), 'step')} in {plural(len(plan.waves), 'wave')}"
    subtitle = f"{counts}, {plural(plan.dependencies, 'dependency')}, {width}"
    return _picture(plan.workflow.name or plan.workflow.id, subtitle, drawn, boxes)


def _said(step: Step) -> str:
    """The second line: what a condition asks, what a fan-out goes over, or the name."""
    if step.branch is not None:
        return rule_words(step.branch.rule, 2 * _DETAIL_CELLS)
    if step.for_each is not None:
        return f"for each of {step.for_each}"
    if step.name and step.name != step.id and not step.id.endswith(f".{step.name}"):
        return step.name
    return " ".join(pool if units == 1 else f"{pool} x{units}" for pool, units in step.resources)


# --- of a run --------------------------------------------------------------------------------------------------------


def picture_of_run(story: Story) -> Picture:
    critical = frozenset(story.critical_path)
    boxes = [_box(step, story, step.drawn.id in critical) for step in story.steps]
    drawn = tuple(step.drawn for step in story.steps)
    number = {step.id: at for at, step in enumerate(drawn)}
    path = tuple(number[id] for id in story.critical_path if id in number)
    return _picture(story.name or story.workflow, _outcome(story), drawn, boxes)._replace(path=path)


def _box(step: StepStory, story: Story, critical: bool) -> Box:
    look = look_of(step, story.alive)
    detail = _ran(step, look, story.wall_s)
    drawn = step.drawn
    name = [one_line(drawn.name)] if drawn.name not in ("", drawn.id) else []
    reason = [one_line(step.reason)] if step.reason else []
    tip = "\n".join(
        [one_line(drawn.id), *name, detail if detail.startswith(look.word) else f"{look.word}, {detail}", *reason]
    )
    return Box(_middle(drawn.id, _TITLE_CELLS), _cut(detail), tip, look, _shape(drawn.type), critical)


def _ran(step: StepStory, look: Look, until_s: float) -> str:
    """`12.3s`, `1.2s, 3 attempts`, `skipped`; the outcome in words where it is not the usual one."""
    words = [] if look.key == "completed" else [look.word]
    if step.attempts:
        words.append(duration(busy_s(step, until_s)))
    if len(step.attempts) > 1:
        words.append(plural(len(step.attempts), "attempt"))
    return ", ".join(words) or look.word


def _outcome(story: Story) -> str:
    counts = Counter(look_of(step, story.alive).key for step in story.steps)
    said = ", ".join(f"{counts[key]} {look.word}" for key, look in LOOKS.items() if counts[key])
    return f"{standing_of(story)} ({duration(story.wall_s)}): {said}" if said else standing_of(story)


def standing_of(story: Story) -> str:
    """`completed`, `failed`, `running`, `died` …"""
    return story.status.value if story.status else "running" if story.alive else "died"


# --- of either -------------------------------------------------------------------------------------------------------


def _picture(title: str, subtitle: str, drawn: Sequence[Drawn], boxes: Sequence[Box]) -> Picture:
    layout = lay_out(drawn, [_width(box) for box in boxes], BOX_HEIGHT)
    stages: Mapping[int, Stage] = {step.wave: step.stage for step in drawn}
    bands = tuple(_heading(band.wave, stages.get(band.wave, Stage.MAIN)) for band in layout.bands)
    return Picture(one_line(title, 120), subtitle, tuple(boxes), layout, bands, note_on(layout))


def note_on(layout: Layout) -> str:
    """What the lines do not show."""
    parts = []
    if layout.implied:
        parts.append(f"{plural(layout.implied, 'dependency')} that others imply not drawn")
    if layout.dropped:
        parts.append(f"{plural(layout.dropped, 'long line')} not drawn")
    return "; ".join(parts)


def _heading(wave: int, stage: Stage) -> str:
    return f"wave {wave + 1}" if stage is Stage.MAIN else STAGE_NAMES[stage]


def _shape(type: StepType) -> Shape:
    return {StepType.CONDITION: Shape.CONDITION, StepType.FAN_OUT: Shape.FAN_OUT}.get(type, Shape.STEP)


def _width(box: Box) -> float:
    text = max(cells(box.title) * _TITLE_CELL, cells(box.detail) * _DETAIL_CELL)
    return round(max(_MARGINS + text + (10 if box.shape is Shape.CONDITION else 0), _NARROWEST))


def _middle(text: str, limit: int) -> str:
    """Cut in the middle: what tells long ids apart is often their end."""
    flat = one_line(text if len(text) <= 400 else text[:200] + text[-200:], 400)
    kept = limit - 1
    short = flat
    while cells(short) > limit:
        short = f"{flat[: kept - kept // 2]}…{flat[-(kept // 2) :]}"
        kept -= 1
    return short


def _cut(text: str) -> str:
    flat = one_line(text, _DETAIL_CELLS)
    while cells(flat) > _DETAIL_CELLS:
        flat = flat[:-2] + "…"
    return flat
