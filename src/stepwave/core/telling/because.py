"""Why a step of a run is as it is: what it waited for, and who held it up; what let it start; why it never did.

Nothing is said that the story does not hold. What is said of earlier runs says `stepwave explain`.
"""

from collections.abc import Iterable, Iterator, Mapping
from math import inf
from typing import NamedTuple

from stepwave.core.events import HARMLESS_SKIPS, Outcome
from stepwave.core.model import Stage
from stepwave.core.telling.critical import predecessor
from stepwave.core.telling.story import Attempt, Cause, StepStory, Story

MOST_HOLDERS = 3
"""Of those who held what a step waited for, the ones who held it longest."""

_failures = (Outcome.FAILED, Outcome.TIMEOUT, Outcome.CANCELLED)


class Charge(NamedTuple):
    """All that a step waited for one thing. `holders`: (step, seconds of that time in which it held the thing), those
    that held it longest first."""

    cause: Cause
    name: str
    seconds: float
    holders: tuple[tuple[str, float], ...] = ()


class Because(NamedTuple):
    """What there is to be said of one step.

    `state` is an outcome, or one of `waiting`, `queued`, `running`, `stopping`, `retrying`, or in a run that is over
    `lost` or `not started`. `roots`: the steps whose failure kept it from starting. `chain`: what it waits for, what
    that waits for …, up to the step that nothing but itself holds up. `released_by`: the step whose end let it start.
    `parts`: those that it became, the last to end at the end.
    """

    step: StepStory
    state: str
    charges: tuple[Charge, ...] = ()
    roots: tuple[StepStory, ...] = ()
    chain: tuple[StepStory, ...] = ()
    released_by: str | None = None
    chosen_by: tuple[StepStory, ...] = ()
    is_critical: bool = False
    parts: tuple[StepStory, ...] = ()

    @property
    def waited_s(self) -> float:
        return sum(charge.seconds for charge in self.charges)

    @property
    def ran_s(self) -> float:
        return sum(attempt.end_s - attempt.begin_s for attempt in self.step.attempts if attempt.end_s is not None)


def because(story: Story, id: str) -> Because:
    """Raises KeyError when the run has no such step."""
    steps = {step.drawn.id: step for step in story.steps}
    step = steps[id]
    before = predecessor(story.steps, id) if step.attempts else None
    return Because(
        step=step,
        state=state_of(step, alive=story.alive),
        charges=_charges(step, story),
        roots=_roots(step, story, steps),
        chain=_chain(step, steps) if step.outcome is None else (),
        released_by=before and before.drawn.id,
        chosen_by=tuple(_conditions(step, story.steps)),
        is_critical=id in story.critical_path,
        parts=tuple(sorted((one for one in story.steps if _is_part(one, id)), key=_end_s)),
    )


def _is_part(one: StepStory, whole: str) -> bool:
    return one.drawn.after == whole and one.drawn.stage is not Stage.ROLLBACK


def _end_s(step: StepStory) -> float:
    return inf if step.ended_s is None else step.ended_s


def state_of(step: StepStory, *, alive: bool) -> str:
    """Where a step is, in the words of `stepwave status`."""
    if step.outcome is not None:
        return step.outcome.value
    last = step.attempts[-1] if step.attempts else None
    if not alive:
        return "lost" if last else "not started"
    if last is not None and last.end_s is None:
        return "stopping" if step.stopping else "running"
    if last is not None and step.waits and step.waits[-1].cause is Cause.RETRY:
        return "retrying"
    return "waiting" if step.ready_s is None else "queued"


# --- what it waited for ------------------------------------------------------------------------------


def _charges(step: StepStory, story: Story) -> tuple[Charge, ...]:
    """In the order in which it came to them."""
    spans: dict[tuple[Cause, str], list[tuple[float, float]]] = {}
    for wait in step.waits:
        spans.setdefault((wait.cause, wait.name), []).append((wait.begin_s, wait.end_s))
    return tuple(
        Charge(cause, name, sum(end - begin for begin, end in times), _holders(step, cause, name, times, story))
        for (cause, name), times in spans.items()
    )


def _holders(
    step: StepStory, cause: Cause, name: str, times: Iterable[tuple[float, float]], story: Story
) -> tuple[tuple[str, float], ...]:
    if cause in (Cause.NEED, Cause.RETRY):
        return ()
    held: dict[str, float] = {}
    times = tuple(times)
    for other in story.steps:
        if other is step or (cause is Cause.POOL and all(pool != name for pool, _ in other.drawn.resources)):
            continue
        seconds = sum(_overlap_s(attempt, times, story.wall_s) for attempt in other.attempts if attempt.slot >= 0)
        if seconds > 0:
            held[other.drawn.id] = seconds
    return tuple(sorted(held.items(), key=lambda item: -item[1])[:MOST_HOLDERS])


def _overlap_s(attempt: Attempt, times: Iterable[tuple[float, float]], now_s: float) -> float:
    end_s = now_s if attempt.end_s is None else attempt.end_s
    return sum(max(0.0, min(end, end_s) - max(begin, attempt.begin_s)) for begin, end in times)


# --- why it never started ----------------------------------------------------------------------------


def _roots(step: StepStory, story: Story, steps: Mapping[str, StepStory]) -> tuple[StepStory, ...]:
    """Through the steps that were skipped for that up to those that had failed; without them, the first failure of the
    run before this step was given up."""
    if step.outcome is not Outcome.SKIPPED or step.reason in HARMLESS_SKIPS:
        return ()
    found: dict[str, StepStory] = {}
    waiting, seen = list(step.drawn.needs), {step.drawn.id}
    while waiting:
        id = waiting.pop()
        need = steps.get(id)
        if need is None or id in seen:
            continue
        seen.add(id)
        if need.outcome in _failures and not need.tolerated:
            found[id] = need
        elif need.outcome is Outcome.SKIPPED and need.reason not in HARMLESS_SKIPS:
            waiting += need.drawn.needs
    if found:
        return tuple(sorted((one for one in story.steps if one.drawn.id in found), key=_end_s))
    failed = [other for other in story.steps if _failed_before(other, step)]
    return tuple(sorted(failed, key=_end_s)[:1])


def _failed_before(other: StepStory, step: StepStory) -> bool:
    is_failure = other.outcome in (Outcome.FAILED, Outcome.TIMEOUT) and not other.tolerated
    return is_failure and (other.ended_s or 0.0) <= (step.ended_s or 0.0) and other.drawn.stage is not Stage.ROLLBACK


def _conditions(step: StepStory, steps: Iterable[StepStory]) -> Iterator[StepStory]:
    """The conditions that decided about it."""
    id = step.drawn.id
    return (one for one in steps if one.decision and (id in one.drawn.on_true or id in one.drawn.on_false))


# --- what it waits for now ---------------------------------------------------------------------------


def _chain(step: StepStory, steps: Mapping[str, StepStory]) -> tuple[StepStory, ...]:
    found: dict[str, StepStory] = {}
    last = step
    while last.outcome is None and last.waits and last.waits[-1].cause is Cause.NEED and not last.attempts:
        need = steps.get(last.waits[-1].name)
        if need is None or need.drawn.id in found or need is step:
            break
        found[need.drawn.id] = last = need
    return tuple(found.values())
