"""A workflow with its order worked out: waves, who waits for whom, and what lies on the longest path."""

from collections.abc import Mapping
from typing import NamedTuple

from stepwave.core.model import Step, Workflow


class Plan(NamedTuple):
    """What will run, before anything has.

    `steps` is in file order. `waves[n]` lists the ids whose longest chain of needs has n steps before them: labels,
    not barriers, but that the waves of one stage of the run come after those of the stage before it. `dependents` maps
    each id to the ids that need it. `remaining_s` is the longest path, in seconds of estimate (1 per step without
    one), from the start of a step to the end of the run. `max_concurrency` is resolved: at least 1.
    """

    workflow: Workflow
    steps: Mapping[str, Step]
    waves: tuple[tuple[str, ...], ...]
    wave_of: Mapping[str, int]
    dependents: Mapping[str, tuple[str, ...]]
    remaining_s: Mapping[str, float]
    max_concurrency: int

    @property
    def dependencies(self) -> int:
        """The number of edges."""
        return sum(len(step.needs) for step in self.steps.values())
