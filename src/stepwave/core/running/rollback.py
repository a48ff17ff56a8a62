"""Which compensations a run without success needs, and in which order. The saga pattern (Garcia-Molina, Salem 1987):
what has been completed is undone, the last first."""

from collections.abc import Iterable

from stepwave.core.model import Step


def undo_steps(completed: Iterable[Step], *, parallel: bool) -> tuple[Step, ...]:
    """The compensations of completed steps, which are given in the order of their ends. Each needs the one before it,
    unless they may run beside each other."""
    undone = [step.undo for step in reversed(list(completed)) if step.undo is not None]
    if parallel:
        return tuple(undone)
    before = [(), *((undo.id,) for undo in undone)]
    return tuple(undo._replace(needs=needs) for undo, needs in zip(undone, before, strict=False))
