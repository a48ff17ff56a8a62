"""Two runs beside each other: what changed in outcome, in time, in waiting, and on the critical path."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from stepwave.core.events import Outcome
from stepwave.core.telling.story import ALONE, MEMORY, RATE, WAVE, Cause, StepStory, Story
from stepwave.core.telling.style import Role, Style, cells, pad, pad_left
from stepwave.core.text import duration, plural

LEAST_S = 0.01
LEAST_SHARE = 0.1
"""A time that changed by less than either of these is about the same: that much it does by itself."""
MOST_ROWS = 30


class Side(NamedTuple):
    """One step in one run. `state` is its outcome, `reused`, or `unended`. Seconds, of all attempts together."""

    state: str
    ran_s: float
    waited_s: float
    attempts: int


class Change(NamedTuple):
    """A step in both runs; None: it is not in that one. `tells`: it is worth a row."""

    step: str
    before: Side | None
    after: Side | None
    tells: bool

    @property
    def change_s(self) -> float:
        return (self.after.ran_s if self.after else 0.0) - (self.before.ran_s if self.before else 0.0)


class Figure(NamedTuple):
    """A figure of the whole run, in seconds."""

    name: str
    before_s: float
    after_s: float


class Comparison(NamedTuple):
    """`changes` holds every step of either run: those whose outcome changed first, then by how much their time did."""

    before: Story
    after: Story
    changes: tuple[Change, ...]
    figures: tuple[Figure, ...]


def compare(before: Story, after: Story) -> Comparison:
    old, new = _sides(before), _sides(after)
    changes = [_change(id, old.get(id), new.get(id)) for id in dict.fromkeys((*old, *new))]
    changes.sort(
        key=lambda change: (not change.tells, _state(change.before) == _state(change.after), -abs(change.change_s))
    )
    return Comparison(before, after, tuple(changes), tuple(_figures(before, after)))


def _sides(story: Story) -> dict[str, Side]:
    return {step.drawn.id: _side(step, story.wall_s) for step in story.steps}


def _side(step: StepStory, now_s: float) -> Side:
    state = step.outcome.value if step.outcome else "unended"
    ran_s = sum((now_s if one.end_s is None else one.end_s) - one.begin_s for one in step.attempts)
    return Side(
        "reused" if step.taken_from else state,
        ran_s,
        sum(wait.end_s - wait.begin_s for wait in step.waits),
        len(step.attempts),
    )


def _state(side: Side | None) -> str | None:
    return side and side.state


def _change(id: str, before: Side | None, after: Side | None) -> Change:
    same = before is not None and after is not None and before.state == after.state
    return Change(id, before, after, not same or _differ(before, after))


def _differ(before: Side | None, after: Side | None) -> bool:
    a, b = before.ran_s if before else 0.0, after.ran_s if after else 0.0
    return abs(a - b) >= max(LEAST_S, LEAST_SHARE * max(a, b))


def _figures(before: Story, after: Story) -> Iterator[Figure]:
    yield Figure("wall time", before.wall_s, after.wall_s)
    sides = [_sides(story).values() for story in (before, after)]
    yield Figure("running, all steps", *(sum(side.ran_s for side in of) for of in sides))
    old, new = _waited(before), _waited(after)
    for cause, name in sorted({*old, *new}, key=lambda key: (_order.index(key[0]), key[1])):
        yield Figure(
            _names[cause].format(_limits.get(name, name)), old.get((cause, name), 0.0), new.get((cause, name), 0.0)
        )


def _waited(story: Story) -> dict[tuple[Cause, str], float]:
    """All steps together. What they waited for each other says the order, not the runner."""
    found: dict[tuple[Cause, str], float] = {}
    for step in story.steps:
        for wait in step.waits:
            if wait.cause is not Cause.NEED:
                key = (wait.cause, wait.name)
                found[key] = found.get(key, 0.0) + wait.end_s - wait.begin_s
    return found


_order = list(Cause)
_limits = {
    RATE: "the rate limit",
    ALONE: "a step that runs alone",
    WAVE: "maxConcurrency",
    MEMORY: "memory",
    "": "what was not recorded",
}
_names = {
    Cause.POOL: "waiting for pool {}",
    Cause.SLOT: "waiting for a slot",
    Cause.LIMIT: "waiting for {}",
    Cause.RETRY: "waiting between attempts",
}


# --- in words ----------------------------------------------------------------------------------------


def lines(found: Comparison, style: Style, *, every: bool = False) -> Iterator[str]:
    """`every`: a row for every step, also for those that are as they were."""
    for label, story in (("before", found.before), ("after", found.after)):
        yield f"{label:<6}  run {story.run} of {style.word(story.name, 60)}: {_verdict(story)}"
    if (found.before.workflow, found.before.file) != (found.after.workflow, found.after.file):
        yield "        they are runs of different workflows"
    rows = [change for change in found.changes if change.tells or every]
    shown = rows if every else rows[:MOST_ROWS]
    yield ""
    if shown:
        yield from _table(
            [("STEP", "BEFORE", "AFTER", "RAN BEFORE", "RAN AFTER", "CHANGE"), *(_row(row, style) for row in shown)],
            style,
        )
    rest = [
        *([f"{plural(len(rows) - len(shown), 'more step')} changed"] if len(rows) > len(shown) else []),
        *([f"{plural(len(found.changes) - len(rows), 'step')} as before"] if len(found.changes) > len(rows) else []),
    ]
    if rest:
        yield "; ".join(rest)
    yield ""
    yield from _table(
        [("", "BEFORE", "AFTER", "", "", "CHANGE"), *(_figure(one, style) for one in found.figures)], style
    )
    yield ""
    yield from _paths(found, style)


def _verdict(story: Story) -> str:
    if story.status is None:
        return f"{'running' if story.alive else 'died'} after {duration(story.wall_s)}"
    return f"{story.status.value} in {duration(story.wall_s)}, exit code {story.exit_code}"


Row = tuple[str, str, str, str, str, str]


def _row(change: Change, style: Style) -> Row:
    before, after = change.before, change.after
    states = [side.state if side else "-" for side in (before, after)]
    times = [duration(side.ran_s) if side and side.attempts else "-" for side in (before, after)]
    told = "new" if before is None else "gone" if after is None else ""
    if not told and (before and before.attempts) and (after and after.attempts):
        told = _difference(before.ran_s, after.ran_s)
    return (style.word(change.step, 60), *states, *times, told)  # type: ignore[return-value]


def _figure(figure: Figure, style: Style) -> Row:
    told = _difference(figure.before_s, figure.after_s)
    return style.word(figure.name, 60), duration(figure.before_s), duration(figure.after_s), "", "", told


def _difference(before_s: float, after_s: float) -> str:
    """`+1.2s (+40%)`; `=` for about the same."""
    change_s = after_s - before_s
    if abs(change_s) < max(LEAST_S, LEAST_SHARE * max(before_s, after_s)):
        return "="
    sign = "+" if change_s > 0 else "-"
    share = f" ({sign}{round(abs(change_s) / before_s * 100)}%)" if before_s >= LEAST_S else ""
    return f"{sign}{duration(abs(change_s))}{share}"


_roles = {"completed": Role.OK, "failed": Role.FAIL, "timeout": Role.FAIL, "cancelled": Role.WARN}


def _table(rows: Sequence[Row], style: Style) -> Iterator[str]:
    """Words on the left, times on the right; a column in which nothing stands is left out."""
    columns = [n for n in range(6) if any(row[n] for row in rows)]
    widths = {n: max(cells(row[n]) for row in rows) for n in columns}
    for row in rows:
        padded = [(pad_left if n in (3, 4) else pad)(row[n], widths[n]) for n in columns]
        painted = [style.paint(text, _roles.get(text.strip())) for text in padded]
        yield "  ".join(painted).rstrip()


def _paths(found: Comparison, style: Style) -> Iterator[str]:
    old, new = found.before.critical_path, found.after.critical_path
    if old == new:
        yield f"critical path of both: {_path(new, style)}"
        return
    yield f"critical path before: {_path(old, style)}"
    yield f"critical path after:  {_path(new, style)}"


def _path(path: Sequence[str], style: Style) -> str:
    if len(path) > 12:
        middle = f"{style.ellipsis} {len(path) - 10} more {style.ellipsis}"
        names = [*map(_named(style), path[:5]), middle, *map(_named(style), path[-5:])]
    else:
        names = list(map(_named(style), path))
    return f" {style.arrow} ".join(names) or "nothing ran"


def _named(style: Style) -> Any:
    return lambda id: style.word(id, 40)


# --- as a document -----------------------------------------------------------------------------------


def document(found: Comparison) -> dict[str, Any]:
    """Every step of either run. Times in seconds."""
    return {
        "before": _run(found.before),
        "after": _run(found.after),
        "wallChangeS": _seconds(found.after.wall_s - found.before.wall_s),
        "steps": {change.step: _step(change) for change in found.changes},
        "figures": [
            {"name": one.name, "beforeS": _seconds(one.before_s), "afterS": _seconds(one.after_s)}
            for one in found.figures
        ],
    }


def _run(story: Story) -> dict[str, Any]:
    return {
        "runId": story.run,
        "workflowId": story.workflow,
        "file": story.file or None,
        "status": story.status.value if story.status else None,
        "exitCode": story.exit_code,
        "wallS": _seconds(story.wall_s),
        "criticalPath": list(story.critical_path),
        "completed": sum(step.outcome is Outcome.COMPLETED for step in story.steps),
        "steps": len(story.steps),
    }


def _step(change: Change) -> dict[str, Any]:
    return {
        "before": change.before and _side_document(change.before),
        "after": change.after and _side_document(change.after),
        "changeS": _seconds(change.change_s),
        "changed": change.tells,
    }


def _side_document(side: Side) -> dict[str, Any]:
    return {
        "state": side.state,
        "ranS": _seconds(side.ran_s),
        "waitedS": _seconds(side.waited_s),
        "attempts": side.attempts,
    }


def _seconds(value: float) -> float:
    return round(value, 6)
