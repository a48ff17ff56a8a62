"""What the command line changes in a workflow: each a function from a workflow to a workflow."""

from collections.abc import Iterable, Mapping

from stepwave.core.diagnostics import COMMAND_LINE, Diagnostic, Place, did_you_mean, error
from stepwave.core.model import FailurePolicy, Scheduling, Step, Workflow


def with_timeout(workflow: Workflow, timeout_s: float | None) -> Workflow:
    """`--timeout`: a deadline for the whole run, in seconds; None and 0 take it away."""
    return workflow._replace(timeout_s=timeout_s or None)


def with_parallel(workflow: Workflow, parallel: bool) -> Workflow:
    """`--parallel / --no-parallel`: beats what the file says."""
    return workflow._replace(parallel=parallel)


def with_min_free(workflow: Workflow, min_free_bytes: int) -> Workflow:
    """`--min-free-memory`: steps start only while so many bytes of memory stay free."""
    return workflow._replace(min_free_bytes=min_free_bytes)


def with_barrier(workflow: Workflow) -> Workflow:
    """`--barrier`: a wave starts when the one before has ended."""
    return workflow._replace(scheduling=Scheduling.WAVES)


def with_policy(workflow: Workflow, policy: FailurePolicy) -> Workflow:
    """`--keep-going` (skip_dependents) and `--fail-fast` (abort): for every step, whatever it says itself."""
    steps = tuple(step._replace(on_failure=None) for step in workflow.steps)
    return workflow._replace(on_failure=policy, steps=steps)


def tolerating(workflow: Workflow) -> Workflow:
    """`--continue-on-error`: every failure is tolerated."""
    return workflow._replace(steps=tuple(step._replace(continue_on_error=True) for step in workflow.steps))


def check_names(workflow: Workflow, option: str, ids: Iterable[str]) -> list[Diagnostic]:
    """An error for every id that is not a step of the workflow."""
    known = {name for step in workflow.steps for name in (step.id, step.family, *_outer(step)) if name}
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
    `skip`: not these. The name of a `matrix`, of an included file or of a workstream stands for all its steps.
    """
    steps = {step.id: step for step in workflow.steps}
    wanted = set(steps)
    if only := meant(workflow, only):
        wanted &= closure(only, {id: step.needs for id, step in steps.items()})
    if start := meant(workflow, start):
        wanted &= closure(start, dependents(steps))
    return frozenset(set(steps) - wanted) | meant(workflow, skip)


def meant(workflow: Workflow, names: Iterable[str]) -> frozenset[str]:
    """The ids of the steps that names stand for: see `deselected`."""
    wanted = frozenset(names)
    if not wanted:
        return wanted
    return frozenset(step.id for step in workflow.steps if not wanted.isdisjoint((step.id, step.family, *_outer(step))))


def _outer(step: Step) -> list[str]:
    """What a step is in: `a.b.` are the files `a` and `a.b`."""
    parts = step.scope.split(".")[:-1]
    return [".".join(parts[: n + 1]) for n in range(len(parts))]


def dependents(steps: Mapping[str, Step]) -> dict[str, list[str]]:
    """Who needs each step."""
    found: dict[str, list[str]] = {id: [] for id in steps}
    for step in steps.values():
        for need in step.needs:
            found[need].append(step.id)
    return found


def closure(first: Iterable[str], edges: Mapping[str, Iterable[str]]) -> set[str]:
    """These ids, and all that the edges lead to."""
    found = set(first)
    todo = list(found)
    while todo:
        for id in edges.get(todo.pop(), ()):
            if id not in found:
                found.add(id)
                todo.append(id)
    return found
