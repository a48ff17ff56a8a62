"""What the command line changes in a workflow: each a function from a workflow to a workflow."""

from collections.abc import Iterable, Mapping

from stepwave.core.diagnostics import COMMAND_LINE, Diagnostic, Place, did_you_mean, error
from stepwave.core.model import FailurePolicy, Step, Workflow


def with_timeout(workflow: Workflow, timeout_s: float | None) -> Workflow:
    """`--timeout`: a deadline for the whole run, in seconds; None and 0 take it away."""
    return workflow._replace(timeout_s=timeout_s or None)


def with_parallel(workflow: Workflow, parallel: bool) -> Workflow:
    """`--parallel / --no-parallel`: beats what the file says."""
    return workflow._replace(parallel=parallel)


def with_policy(workflow: Workflow, policy: FailurePolicy) -> Workflow:
    """`--keep-going` (skip_dependents) and `--fail-fast` (abort): for every step, whatever it says itself."""
    steps = tuple(step._replace(on_failure=None) for step in workflow.steps)
    return workflow._replace(on_failure=policy, steps=steps)


def tolerating(workflow: Workflow) -> Workflow:
    """`--continue-on-error`: every failure is tolerated."""
    return workflow._replace(steps=tuple(step._replace(continue_on_error=True) for step in workflow.steps))


def check_names(workflow: Workflow, option: str, ids: Iterable[str]) -> list[Diagnostic]:
    """An error for every id that is not a step of the workflow."""
    known = {step.id for step in workflow.steps}
    return [
        error(
            "unknown-step",
            f"{option} names `{id}`, which is not in this workflow",
            Place(COMMAND_LINE),
            did_you_mean(id, known),
        )
        for id in ids
        if id not in known
    ]


def deselected(
    workflow: Workflow, only: Iterable[str] = (), skip: Iterable[str] = (), start: Iterable[str] = ()
) -> frozenset[str]:
    """The ids that are not to run.

    `only`: these and all that they need. `start` (`--from`): these and all that need them; both: what is in both.
    `skip`: not these.
    """
    steps = {step.id: step for step in workflow.steps}
    wanted = set(steps)
    if only := tuple(only):
        wanted &= _closure(only, {id: step.needs for id, step in steps.items()})
    if start := tuple(start):
        wanted &= _closure(start, _dependents(steps))
    return frozenset(set(steps) - wanted) | (frozenset(skip) & frozenset(steps))


def _dependents(steps: Mapping[str, Step]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {id: [] for id in steps}
    for step in steps.values():
        for need in step.needs:
            found[need].append(step.id)
    return found


def _closure(first: Iterable[str], edges: Mapping[str, Iterable[str]]) -> set[str]:
    found = set(first)
    todo = list(found)
    while todo:
        for id in edges.get(todo.pop(), ()):
            if id not in found:
                found.add(id)
                todo.append(id)
    return found
