"""What a run would have taken with other limits: `stepwave simulate`, a table with a row for each set of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from stepwave.core.model import Stage, StepType
from stepwave.core.plan import Plan
from stepwave.core.running.bound import SLOTS, Bound, Task, lower_bound
from stepwave.core.running.simulate import Setting, Simulated, setting_of, simulate, tasks_of
from stepwave.core.telling.forecast import bound_document, utilization_document
from stepwave.core.telling.story import StepStory, Story
from stepwave.core.telling.style import Role, Style, cells, line_of, pad, pad_left
from stepwave.core.text import duration


class Recorded(NamedTuple):
    """What is tried out: tasks with the times that they took, or are expected to take, and what they ran within.
    `wall_s` is what the run took; None where none is meant but a file."""

    name: str
    run: str | None
    tasks: tuple[Task, ...]
    setting: Setting
    wall_s: float | None = None

    @property
    def bound(self) -> Bound:
        return lower_bound(self.tasks, self.setting.slots, self.setting.pools)


class Trial(NamedTuple):
    """`simulated` None: what was recorded, not simulated."""

    name: str
    makespan_s: float
    bound: Bound
    utilization: tuple[tuple[str, float], ...]
    setting: Setting
    simulated: Simulated | None = None


# --- where the tasks come from -------------------------------------------------------------------------


def of_plan(plan: Plan) -> Recorded:
    """With the times that its steps are expected to take."""
    return Recorded(plan.workflow.name or plan.workflow.id, None, tasks_of(plan), setting_of(plan))


def of_story(story: Story) -> Recorded:
    """With the times that its attempts took, failed ones among them. What never started takes no time."""
    parts: dict[str, list[str]] = {}
    wholes = {step.drawn.id: step for step in story.steps if step.drawn.type is StepType.FAN_OUT}
    for step in story.steps:
        if step.drawn.after in wholes:
            parts.setdefault(step.drawn.after, []).append(step.drawn.id)
    # Stages have their waves one after the other, but what is undone is shown beside what did it.
    ranked = sorted(story.steps, key=lambda step: (_late(step), step.drawn.wave, step.drawn.id in wholes))
    tasks = tuple(_task(step, wholes, parts.get(step.drawn.id, ())) for step in ranked)
    pools = {pool.name: pool.limit for pool in story.pools if pool.name != SLOTS}
    setting = Setting(story.max_concurrency, pools, story.rate_limit_s, story.by_waves)
    return Recorded(story.name, story.run, tasks, setting, story.wall_s)


def _late(step: StepStory) -> bool:
    return step.drawn.stage in (Stage.ROLLBACK, Stage.FINALLY)


def _task(step: StepStory, wholes: Mapping[str, StepStory], parts: Iterable[str]) -> Task:
    drawn = step.drawn
    ran = [attempt for attempt in step.attempts if attempt.argv and attempt.slot >= 0 and attempt.end_s is not None]
    seconds = sum((attempt.end_s or 0.0) - attempt.begin_s for attempt in ran)
    above = wholes.get(drawn.after)
    return Task(
        id=drawn.id,
        seconds=seconds,
        needs=(*(above.drawn.needs if above else drawn.needs), *parts),
        resources=drawn.resources if ran else (),
        stage=drawn.stage,
        alone=drawn.exclusive and bool(ran),
        slots=1 if ran else 0,
        max_concurrency=drawn.max_concurrency if ran else None,
        priority=drawn.priority,
    )


# --- trying it out -------------------------------------------------------------------------------------


def trials(recorded: Recorded, settings: Iterable[tuple[str, Setting]]) -> Iterator[Trial]:
    """First as it was, then within each of the settings. Raises CannotSimulate."""
    if recorded.wall_s is not None:
        yield _as_recorded(recorded, recorded.wall_s)
    for name, setting in (("simulated", recorded.setting), *settings):
        found = simulate(recorded.tasks, setting)
        yield Trial(name, found.makespan_s, found.bound, found.utilization, setting, found)


def _as_recorded(recorded: Recorded, wall_s: float) -> Trial:
    bound = recorded.bound
    used = tuple((name, load_s / wall_s if wall_s else 0.0) for name, load_s in bound.loads)
    return Trial("as recorded", wall_s, bound, used, recorded.setting)


# --- words ---------------------------------------------------------------------------------------------

_heads = ("", "Takes", "", "Lower bound", "Bound by", "Busy")


def lines(recorded: Recorded, found: Sequence[Trial], style: Style, width: int) -> Iterator[str]:
    """`Busy` is how much of the slots, or of the pool that has most to do, is in use."""
    slots = recorded.setting.slots
    what = f"run {recorded.run}" if recorded.run else "expected times"
    yield f"{style.paint(style.word(recorded.name), Role.STRONG)}: {what}, {slots} at a time"
    yield ""
    rows = [_heads, *(_row(one, found[0], style) for one in found)]
    sizes = [max(cells(row[n]) for row in rows) for n in range(len(_heads))]
    for n, row in enumerate(rows):
        text = "  ".join(
            (pad if index in (0, 4, 5) else pad_left)(cell, size)
            for index, (cell, size) in enumerate(zip(row, sizes, strict=True))
        )
        yield line_of([(text, Role.STRONG if n == 0 else None)], width, style)


def _row(one: Trial, first: Trial, style: Style) -> tuple[str, ...]:
    ratio = f"{one.makespan_s / first.makespan_s:.2f} x" if one is not first and first.makespan_s else ""
    name, load_s = one.bound.tightest
    by = "critical path" if one.bound.path_s >= load_s else f"{style.word(name, 30)} pool" if name else "slots"
    shares = ", ".join(_share(pool, share, style) for pool, share in one.utilization[:4])
    return (style.word(one.name, 60), duration(one.makespan_s), ratio, duration(one.bound.seconds), by, shares)


def _share(pool: str, share: float, style: Style) -> str:
    return f"{style.word(pool, 30) if pool else 'slots'} {share:.0%}"


# --- the document --------------------------------------------------------------------------------------


def document(recorded: Recorded, found: Sequence[Trial]) -> dict[str, Any]:
    """As JSON values, in seconds."""
    return {
        "name": recorded.name,
        "run": recorded.run,
        "steps": len(recorded.tasks),
        "trials": [_trial(one) for one in found],
    }


def _trial(one: Trial) -> dict[str, Any]:
    shares = one.simulated or Simulated(one.makespan_s, (), one.bound, one.utilization)
    return {
        "name": one.name,
        "simulated": one.simulated is not None,
        "order": one.setting.order,
        "maxConcurrency": one.setting.slots,
        "pools": dict(one.setting.pools),
        "makespan": round(one.makespan_s, 6),
        "lowerBound": bound_document(one.bound),
        "utilization": utilization_document(shares),
    }
