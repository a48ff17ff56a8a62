"""From a workflow to a plan, in a few passes over the graph and without recursion."""

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

from stepwave.core.model import STAGES, Step, Workflow
from stepwave.core.plan import Learned, Plan
from stepwave.core.running.weights import expected_s, remaining


def make_plan(workflow: Workflow, *, cpus: int, max_concurrency: int | None = None) -> Plan:
    """Work out waves and longest paths.

    `cpus` is what `max_concurrency: auto` stands for, at least 4 (steps wait for files and networks too);
    `max_concurrency` overrides the file. The workflow must be free of cycles and unknown needs, as `build` leaves it.
    Raises ValueError when it is not, or when `max_concurrency` is less than 1.
    """
    if max_concurrency is not None and max_concurrency < 1:
        raise ValueError(f"max_concurrency must be at least 1, not {max_concurrency}")
    steps = {step.id: step for step in workflow.steps}
    dependents = _dependents(steps)
    order = _topological(steps)
    wave_of = _waves(order, steps)
    width = max_concurrency or workflow.max_concurrency or max(4, cpus)
    return Plan(
        workflow=workflow,
        steps=steps,
        waves=_group(steps, wave_of),
        wave_of=wave_of,
        dependents=dependents,
        remaining_s=remaining(reversed(order), expected_s(steps, {}), dependents),
        max_concurrency=width if workflow.parallel else 1,
    )


def _dependents(steps: Mapping[str, Step]) -> dict[str, tuple[str, ...]]:
    lists: dict[str, list[str]] = {id: [] for id in steps}
    for step in steps.values():
        for need in step.needs:
            if need not in lists:
                raise ValueError(f'Step "{step.id}" depends on non-existent step: {need}')
            lists[need].append(step.id)
    return {id: tuple(ids) for id, ids in lists.items()}


def _topological(steps: Mapping[str, Step]) -> list[str]:
    sorter = TopologicalSorter({id: step.needs for id, step in steps.items()})
    try:
        return list(sorter.static_order())
    except CycleError as error:
        cycle = error.args[1]
        raise ValueError(f"Circular dependency detected among steps: {', '.join(cycle[:-1])}") from None


def _waves(order: list[str], steps: Mapping[str, Step]) -> dict[str, int]:
    """The waves of each stage come after those of the stages before it."""
    wave_of: dict[str, int] = {}
    for id in order:
        wave_of[id] = 1 + max((wave_of[need] for need in steps[id].needs), default=-1)
    base = 0
    stages = {step.stage for step in steps.values()}
    for stage in STAGES if len(stages) > 1 else ():
        own = [id for id in steps if steps[id].stage is stage]
        wave_of.update((id, wave_of[id] + base) for id in own)
        base = max((wave_of[id] + 1 for id in own), default=base)
    return wave_of


def _group(steps: Mapping[str, Step], wave_of: Mapping[str, int]) -> tuple[tuple[str, ...], ...]:
    waves: list[list[str]] = [[] for _ in range(1 + max(wave_of.values(), default=-1))]
    for id in steps:
        waves[wave_of[id]].append(id)
    return tuple(tuple(ids) for ids in waves)


def informed(plan: Plan, learned: Mapping[str, Learned]) -> Plan:
    """The plan with what earlier runs have shown of its steps, and the longest paths that follow from it."""
    if not learned:
        return plan
    order = (id for wave in reversed(plan.waves) for id in wave)  # whoever needs a step is in a later wave
    longest_s = remaining(order, expected_s(plan.steps, learned), plan.dependents)
    return plan._replace(learned=learned, remaining_s=longest_s)
