"""What a run that has ended could still have gained: its time beside the one that no schedule beats."""

from collections.abc import Iterator

from stepwave.core.model import STAGES, StepType
from stepwave.core.plan import Plan
from stepwave.core.running.bound import Bound, Task, lower_bound
from stepwave.core.summary import StepResult, Summary

WORTH_S = 1.0
"""Of shorter runs the bound is not told: starting processes is a good part of them."""


def is_worth_telling(summary: Summary) -> bool:
    """Whether anything could have run at another time. A run that has failed ended early for another reason."""
    if summary.wall_s < WORTH_S or not summary.success:
        return False
    return sum(step.attempts > 0 and bool(step.argv) for step in summary.steps) > 1


def bound_of(summary: Summary, plan: Plan) -> Bound:
    """From the last attempt of each step; a `forEach` takes as long as its parts."""
    return lower_bound(_tasks(summary, plan), plan.max_concurrency, plan.workflow.pools)


def _tasks(summary: Summary, plan: Plan) -> Iterator[Task]:
    wholes = {id for id, step in plan.steps.items() if step.type is StepType.FAN_OUT}
    parts: dict[str, list[str]] = {}
    for step in summary.steps:
        if step.after in wholes:
            parts.setdefault(step.after, []).append(step.id)
    rank = {stage: n for n, stage in enumerate(STAGES)}
    for step in sorted(summary.steps, key=lambda step: (rank[step.stage], step.wave, step.id in wholes)):
        yield _task(step, plan, step.after if step.after in wholes else "", parts.get(step.id, []))


def _task(step: StepResult, plan: Plan, whole: str, parts: list[str]) -> Task:
    planned = plan.steps.get(whole or step.id)
    ran = step.attempts > 0 and bool(step.argv)
    return Task(
        id=step.id,
        seconds=step.duration_s if ran else 0.0,
        needs=(*(planned.needs if planned else ()), *parts),
        resources=planned.resources if planned and ran else (),
        stage=step.stage,
        alone=bool(planned and planned.exclusive and ran),
        slots=1 if ran else 0,
    )
