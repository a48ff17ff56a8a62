"""Branches: which steps wait for the answer of a condition, and which of them it has cut off.

Rule 1  A step that conditions name starts only when one of them has chosen it, whatever its own condition says.
Rule 2  Of the others, one that needs something cut off goes on if at least one of its needs has completed, so that
        branches may join again. One that asks `always()` goes on in any case.
"""

from collections.abc import Mapping

from stepwave.core.events import Outcome
from stepwave.core.plan import Plan
from stepwave.core.running.track import Track


class Gates:
    """`ignored`: conditions that are not a part of this run, and hold nobody up."""

    def __init__(self, plan: Plan, ignored: frozenset[str]) -> None:
        self._asked: dict[str, list[str]] = {}
        self._chosen: dict[str, tuple[str, ...]] = {}
        for step in plan.steps.values():
            if step.branch is not None and step.id not in ignored:
                for target in (*step.branch.on_true, *step.branch.on_false):
                    self._asked.setdefault(target, []).append(step.id)

    def choose(self, condition: str, steps: tuple[str, ...]) -> None:
        """The condition has its answer."""
        self._chosen[condition] = steps

    def cuts_off(self, track: Track, tracks: Mapping[str, Track], *, runs_always: bool) -> bool:
        """Every need of the step is done; may it go on?"""
        step = track.step
        if conditions := self._asked.get(step.id):
            return not any(step.id in self._chosen.get(condition, ()) for condition in conditions)
        if not track.cut_needs or runs_always:
            return False
        return all(tracks[need].outcome is Outcome.SKIPPED for need in step.needs)

    def __contains__(self, id: object) -> bool:
        return id in self._asked
