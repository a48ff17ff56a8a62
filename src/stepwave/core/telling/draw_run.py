"""A run as a drawing in text: for the terminal, Graphviz and programs. The pictures are made by `svg` and `page`.

The rules are those of `draw`: what stands for a step is n0, n1 …, and everything foreign is an escaped label.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from stepwave.core.model import Stage
from stepwave.core.telling.draw import quoted
from stepwave.core.telling.looks import busy_s, look_of
from stepwave.core.telling.picture import Box, Picture, Shape, picture_of_run, standing_of
from stepwave.core.telling.story import StepStory, Story
from stepwave.core.telling.style import Style, cells, pad
from stepwave.core.telling.wording import STAGE_NAMES
from stepwave.core.text import one_line, plural

_ID_COLUMN = 32
_NEEDS_SHOWN = 8


# --- text ------------------------------------------------------------------------------------------------------------


def as_text(story: Story, style: Style) -> Iterator[str]:
    """By waves, each step with its outcome and its time; those on the critical path are marked."""
    picture = picture_of_run(story)
    yield f"{style.word(picture.title)}: {picture.subtitle}"
    waves: dict[int, list[int]] = {}
    for number, step in enumerate(story.steps):
        waves.setdefault(step.drawn.wave, []).append(number)
    for wave in sorted(waves):
        numbers = waves[wave]
        stage = story.steps[numbers[0]].drawn.stage
        part = "" if stage is Stage.MAIN else f": {STAGE_NAMES[stage]}"
        yield ""
        yield f"Wave {wave + 1} ({plural(len(numbers), 'step')}){part}"
        column = min(max(cells(style.word(story.steps[n].drawn.id, 80)) for n in numbers), _ID_COLUMN)
        for number in numbers:
            yield _line(story.steps[number], picture.boxes[number], column, style)


def _line(step: StepStory, box: Box, column: int, style: Style) -> str:
    needs = [style.word(need, 80) for need in step.drawn.needs[:_NEEDS_SHOWN]]
    more = len(step.drawn.needs) - len(needs)
    arrow = "←" if style.unicode else "<-"
    parts = [pad(style.word(step.drawn.id, 80), column), style.spell(box.detail)]
    if needs:
        parts.append(f"{arrow} {', '.join(needs)}{f', and {more} more' if more else ''}")
    if box.critical:
        parts.append("(critical path)")
    return f"  {'  '.join(parts)}".rstrip()


# --- Graphviz --------------------------------------------------------------------------------------------------------


def as_dot(story: Story) -> Iterator[str]:
    """Coloured by outcome; the critical path is drawn bold."""
    picture = picture_of_run(story)
    yield f"digraph {quoted(picture.title)} {{"
    yield "    rankdir=LR;"
    yield f'    label={quoted(picture.title, picture.subtitle)}; labelloc=t; labeljust=l; fontname="sans-serif";'
    yield '    node [shape=box, style="rounded,filled", fontname="sans-serif"];'
    yield from dot_nodes(picture)
    path = set(pairwise(story.critical_path))
    node = {step.drawn.id: f"n{number}" for number, step in enumerate(story.steps)}
    for number, step in enumerate(story.steps):
        for need in step.drawn.needs:
            if need in node:
                heavy = " [penwidth=2.5]" if (need, step.drawn.id) in path else ""
                yield f"    {node[need]} -> n{number}{heavy};"
        if step.drawn.after in node and step.drawn.after not in step.drawn.needs:
            yield f"    {node[step.drawn.after]} -> n{number} [style=dotted];"
    yield "}"


def dot_nodes(picture: Picture) -> Iterator[str]:
    shapes = {Shape.CONDITION: ", shape=hexagon, style=filled", Shape.FAN_OUT: ", peripheries=2", Shape.STEP: ""}
    for number, box in enumerate(picture.boxes):
        label = quoted(box.title, box.detail) if box.detail else quoted(box.title)
        colors = f'color="{box.look.light}", fillcolor="{box.look.light}1c"'
        heavy = ", penwidth=2.5" if box.critical else ""
        yield f"    n{number} [label={label}, {colors}{shapes[box.shape]}{heavy}];"


# --- JSON ------------------------------------------------------------------------------------------------------------


def as_document(story: Story) -> Mapping[str, Any]:
    """As that of a plan, with what became of the steps."""
    known = {step.drawn.id for step in story.steps}
    edges = [(need, step.drawn.id) for step in story.steps for need in step.drawn.needs if need in known]
    return {
        "nodes": [_node(step, story) for step in story.steps],
        "edges": [{"from": need, "to": id} for need, id in edges],
        "metadata": {
            "run": story.run,
            "id": story.workflow,
            "name": story.name,
            "standing": standing_of(story),
            "durationMs": round(story.wall_s * 1000),
            "criticalPath": list(story.critical_path),
            "steps": len(story.steps),
            "dependencies": len(edges),
        },
    }


def _node(step: StepStory, story: Story) -> Mapping[str, Any]:
    drawn = step.drawn
    return {
        "id": drawn.id,
        "name": drawn.name or drawn.id,
        "type": drawn.type.value,
        "wave": drawn.wave,
        "stage": drawn.stage.value,
        "after": drawn.after or None,
        "resources": dict(drawn.resources),
        "outcome": look_of(step, story.alive).key,
        "reason": one_line(step.reason) if step.reason else None,
        "attempts": len(step.attempts),
        "durationMs": round(busy_s(step, story.wall_s) * 1000) if step.attempts else None,
    }
