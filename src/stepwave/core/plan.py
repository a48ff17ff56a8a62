"""A workflow with its order worked out: waves, who waits for whom, and what lies on the longest path."""

from collections.abc import Mapping
from typing import NamedTuple

from stepwave.core.model import Step, Workflow, nothing


class Learned(NamedTuple):
    """What earlier runs have shown of a step: exponentially weighted means of its completed attempts, in seconds and
    bytes. `runs` is how many there were. None: it was not measured. A `peak_rss_bytes` that grew counts at once."""

    runs: int
    duration_s: float
    user_s: float | None = None
    system_s: float | None = None
    peak_rss_bytes: int | None = None


class Plan(NamedTuple):
    """What will run, before anything has.

    `steps` is in file order. `waves[n]` lists the ids whose longest chain of needs has n steps before them: labels,
    not barriers, but that the waves of one stage of the run come after those of the stage before it. `dependents` maps
    each id to the ids that need it. `remaining_s` is the longest path from the start of a step to the end of the run,
    in seconds that the steps are expected to take (core/running/weights.py). `max_concurrency` is resolved: at least 1.
    `learned` holds what earlier runs have shown, by step; steps that a run brought forth are among them. `urgency`:
    what ready steps are ordered by instead of `remaining_s`, the greatest first.
    """

    workflow: Workflow
    steps: Mapping[str, Step]
    waves: tuple[tuple[str, ...], ...]
    wave_of: Mapping[str, int]
    dependents: Mapping[str, tuple[str, ...]]
    remaining_s: Mapping[str, float]
    max_concurrency: int
    learned: Mapping[str, Learned] = nothing
    urgency: Mapping[str, float] | None = None

    @property
    def dependencies(self) -> int:
        """The number of edges."""
        return sum(len(step.needs) for step in self.steps.values())
