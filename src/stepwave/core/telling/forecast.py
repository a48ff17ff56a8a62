"""What a plan is expected to come to: `stepwave plan`, a timeline with a bar for every step."""

from collections.abc import Iterator, Set
from enum import Enum
from typing import Any, NamedTuple

from stepwave.core.plan import Plan
from stepwave.core.running.bound import SLOTS, Bound
from stepwave.core.running.simulate import Simulated, Slice, setting_of, simulate, tasks_of
from stepwave.core.running.weights import CRITICAL_PATH, expected_s
from stepwave.core.telling.style import Role, Span, Style, cells, line_of, pad, pad_left
from stepwave.core.text import duration, plural

_WIDEST_ID = 40
_SHORTEST_BAR = 10

Row = tuple[str, ...]


class Source(Enum):
    """Where the time that a step is expected to take comes from."""

    LEARNED = "learned"
    DECLARED = "estimate"
    SIBLINGS = "siblings"
    GUESS = "guess"


class Forecast(NamedTuple):
    """A plan and the run that is expected of it. `guessed` are the steps of which nothing is known."""

    plan: Plan
    simulated: Simulated
    guessed: Set[str]
    order: str = CRITICAL_PATH

    def source(self, id: str) -> Source:
        if id in self.plan.learned:
            return Source.LEARNED
        if id in self.guessed:
            return Source.GUESS
        return Source.SIBLINGS if self.plan.steps[id].estimate_s is None else Source.DECLARED

    def remark(self, id: str) -> str:
        """`12 runs`, `estimate`, `siblings` or `guess`."""
        known = self.plan.learned.get(id)
        return plural(known.runs, "run") if known else self.source(id).value


def forecast(plan: Plan, order: str = CRITICAL_PATH) -> Forecast:
    """Raises CannotSimulate when a step could never start."""
    tasks = tasks_of(plan)
    known = expected_s(plan.steps, plan.learned)
    guessed = {task.id for task in tasks if task.slots and task.id not in known and task.id not in plan.learned}
    return Forecast(plan, simulate(tasks, setting_of(plan, order)), guessed, order)


# --- words ---------------------------------------------------------------------------------------------


def bound_words(bound: Bound, slots: int, style: Style) -> str:
    """`3m 10s (critical path 2m 58s, cpu pool 3m 10s)`: the longest chain, and the pool that has most to do."""
    name, load_s = bound.tightest
    what = f"{style.word(name, 40)} pool" if name != SLOTS else plural(slots, "slot")
    return f"{duration(bound.seconds)} (critical path {duration(bound.path_s)}, {what} {duration(load_s)})"


def lines(found: Forecast, style: Style, width: int) -> Iterator[str]:
    """A heading, a row for each step in the order in which they begin, and a remark on what is not known."""
    plan, simulated = found.plan, found.simulated
    name = style.word(plan.workflow.name or plan.workflow.id)
    slots = plan.max_concurrency
    about = f"{plural(len(plan.steps), 'step')}, {plural(slots, 'slot')}"
    yield f"{style.paint(name, Role.STRONG)}: {duration(simulated.makespan_s)} expected ({about})"
    yield style.paint(f"  lower bound {bound_words(simulated.bound, slots, style)}", Role.DIM)
    yield ""
    yield from _table(found, style, max(width, 20))
    if found.guessed:
        yield ""
        yield f"Of {plural(len(found.guessed), 'step')} nothing is known yet: 1s each is a guess. A run will tell."


def _table(found: Forecast, style: Style, width: int) -> Iterator[str]:
    slices = found.simulated.slices
    columns = [
        ["Step", *(style.word(one.id, _WIDEST_ID) for one in slices)],
        ["Slot", *(str(one.slot + 1) if one.slot >= 0 else "" for one in slices)],
        ["Start", *(duration(one.begin_s) for one in slices)],
        ["End", *(duration(one.end_s) for one in slices)],
        ["Time", *(duration(one.end_s - one.begin_s) for one in slices)],
        ["From", *(found.remark(one.id) if one.slot >= 0 else "" for one in slices)],
    ]
    sizes = [max(map(cells, column)) for column in columns]
    room = width - sum(sizes) - 2 * len(sizes)
    bars = ["", *(_bar(one, found.simulated.makespan_s, room, style) for one in slices)]
    for n, row in enumerate(zip(*columns, strict=True)):
        spans = list(_spans(row, sizes, Role.STRONG if n == 0 else None))
        yield line_of([*spans, (bars[n], Role.ACCENT)], width, style)


def _spans(row: Row, sizes: list[int], role: Role | None) -> Iterator[Span]:
    for index, (text, size) in enumerate(zip(row, sizes, strict=True)):
        left = index in (0, len(row) - 1)
        yield ((pad if left else pad_left)(text, size) + "  ", role)


def _bar(one: Slice, whole_s: float, room: int, style: Style) -> str:
    """From where it begins to where it ends; nothing where there is no room, or it takes no time."""
    if room < _SHORTEST_BAR or whole_s <= 0 or one.slot < 0:
        return ""
    begin = min(int(one.begin_s / whole_s * room), room - 1)
    end = max(round(one.end_s / whole_s * room), begin + 1)
    return " " * begin + style.bar_full * (end - begin)


# --- the document --------------------------------------------------------------------------------------


def bound_document(bound: Bound) -> dict[str, Any]:
    return {
        "seconds": _rounded(bound.seconds),
        "criticalPath": {"seconds": _rounded(bound.path_s), "steps": list(bound.path)},
        "slots": _rounded(dict(bound.loads)[SLOTS]),
        "pools": {name: _rounded(load_s) for name, load_s in bound.loads if name != SLOTS},
    }


def document(found: Forecast) -> dict[str, Any]:
    """As JSON values; seconds after the start of the run, slots from 1, null for a step without a process."""
    plan, simulated = found.plan, found.simulated
    return {
        "workflow": plan.workflow.id,
        "name": plan.workflow.name or plan.workflow.id,
        "order": found.order,
        "maxConcurrency": plan.max_concurrency,
        "pools": dict(plan.workflow.pools),
        "makespan": _rounded(simulated.makespan_s),
        "lowerBound": bound_document(simulated.bound),
        "utilization": utilization_document(simulated),
        "steps": [_step(one, found) for one in simulated.slices],
    }


def utilization_document(simulated: Simulated) -> dict[str, float]:
    """The slots under the name `slots`."""
    return {"slots" if name == SLOTS else f"pool {name}": round(share, 4) for name, share in simulated.utilization}


def _step(one: Slice, found: Forecast) -> dict[str, Any]:
    known = found.plan.learned.get(one.id)
    return {
        "id": one.id,
        "start": _rounded(one.begin_s),
        "end": _rounded(one.end_s),
        "slot": one.slot + 1 if one.slot >= 0 else None,
        "duration": _rounded(one.end_s - one.begin_s),
        "from": found.source(one.id).value if one.slot >= 0 else None,
        "runs": known.runs if known else 0,
        "peakMemoryBytes": known.peak_rss_bytes if known else None,
    }


def _rounded(seconds: float) -> float:
    return round(seconds, 6)
