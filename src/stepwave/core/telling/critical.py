"""The critical path of a run as it went: from the step that ended last, back through what each waited for last.

That is not only what a step needs: who waits for a slot or a pool waits for whoever gives it back.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from stepwave.core.model import Stage
from stepwave.core.telling.story import RATE, WAVE, Attempt, Cause, StepStory, Wait

Held = tuple[str, str | int]
"""What an attempt holds: ("slot", ""), ("pool", its name), ("wave", its number)."""

_slot: Held = ("slot", "")


def critical_path(steps: Sequence[StepStory]) -> tuple[str, ...]:
    """In the order of time. Steps that never started are passed through: they take no time. Of a run without an end it
    leads to the step that has been running for longest."""
    lookup = _Lookup(steps)
    step = _last(steps)
    path: list[str] = []
    seen: set[str] = set()
    while step is not None and step.drawn.id not in seen:
        seen.add(step.drawn.id)
        if step.attempts:
            path.append(step.drawn.id)
        step = lookup.released(step, seen)
    return tuple(reversed(path))


def predecessor(steps: Sequence[StepStory], id: str) -> StepStory | None:
    """The step that this one waited for last before it first started: what let it start."""
    step = next(step for step in steps if step.drawn.id == id)
    return _Lookup(steps).before(step, {id})


def _last(steps: Iterable[StepStory]) -> StepStory | None:
    running = [step for step in steps if step.outcome is None and step.attempts and step.attempts[-1].end_s is None]
    if running:  # a whole is not what takes long, its parts are
        return min(running, key=lambda step: (step.attempts[-1].slot < 0, step.attempts[0].begin_s))
    ran = [step for step in steps if step.attempts]
    return max(ran, key=_ended, default=None)


def _ended(step: StepStory) -> tuple[float, bool, float]:
    """A whole ends after the last of its parts; of steps that ended at once the one that began last."""
    ended_s = step.ended_s if step.ended_s is not None else step.attempts[-1].end_s or 0.0
    return ended_s, step.attempts[-1].slot < 0, step.attempts[0].begin_s


class _Lookup:
    """Who had what, and until when."""

    def __init__(self, steps: Sequence[StepStory]) -> None:
        self._steps = {step.drawn.id: step for step in steps}
        self._parts: dict[str, list[StepStory]] = {}
        self._held: dict[Held, list[tuple[float, str]]] = {}
        self._starts: list[tuple[float, str]] = []
        for step in steps:
            if step.drawn.after:
                self._parts.setdefault(step.drawn.after, []).append(step)
            for attempt in step.attempts:
                self._note(step, attempt)
        for ends in self._held.values():
            ends.sort()
        self._starts.sort()

    def _note(self, step: StepStory, attempt: Attempt) -> None:
        if attempt.argv:
            self._starts.append((attempt.begin_s, step.drawn.id))
        if attempt.end_s is None or attempt.slot < 0:
            return
        pools: list[Held] = [("pool", name) for name, _ in step.drawn.resources]
        for key in [_slot, ("wave", step.drawn.wave), *pools]:
            self._held.setdefault(key, []).append((attempt.end_s, step.drawn.id))

    def released(self, step: StepStory, seen: set[str]) -> StepStory | None:
        """What the step waited for last, before its first attempt."""
        if step.attempts and step.attempts[-1].slot < 0 and (part := self._last_part(step, seen)) is not None:
            return part
        return self.before(step, seen)

    def before(self, step: StepStory, seen: set[str]) -> StepStory | None:
        """Whatever its parts did then."""
        began_s = step.attempts[0].begin_s if step.attempts else step.ended_s
        waits = [wait for wait in step.waits if began_s is None or wait.end_s <= began_s]
        if waits:
            return self._who(step, waits[-1], seen)
        if step.drawn.stage is not Stage.MAIN:
            return self._latest(self._held.get(_slot, []), step.created_s, step, seen)
        above = self._steps.get(step.drawn.after)
        return above and self._above(above, seen)

    def _last_part(self, whole: StepStory, seen: set[str]) -> StepStory | None:
        parts = [part for part in self._parts.get(whole.drawn.id, ()) if part.attempts and part.ended_s is not None]
        last = max(parts, key=_ended, default=None)
        return last if last is not None and last.drawn.id not in seen else None

    def _above(self, above: StepStory, seen: set[str]) -> StepStory | None:
        """A part that waited for nothing goes back to its whole, or to what that waited for."""
        if above.drawn.id not in seen:
            return above
        waits = [wait for wait in above.waits if above.attempts and wait.end_s <= above.attempts[0].begin_s]
        return self._who(above, waits[-1], seen) if waits else None

    def _who(self, step: StepStory, wait: Wait, seen: set[str]) -> StepStory | None:
        if wait.cause is Cause.NEED:
            return self._steps.get(wait.name)
        if wait.cause is Cause.RETRY:
            return None
        if wait.name == RATE:
            return self._latest(self._starts, wait.end_s, step, seen)
        key: Held = ("pool", wait.name) if wait.cause is Cause.POOL else _slot
        if wait.name == WAVE:
            key = "wave", step.drawn.wave
        return self._latest(self._held.get(key, []), wait.end_s, step, seen)

    def _latest(self, moments: list[tuple[float, str]], at: float, step: StepStory, seen: set[str]) -> StepStory | None:
        """The last of them up to that moment: another step, and one that was not come by yet."""
        n = bisect_right(moments, (at, "\U0010ffff"))
        while n > 0:
            n -= 1
            id = moments[n][1]
            if id != step.drawn.id and id not in seen:
                return self._steps[id]
        return None
