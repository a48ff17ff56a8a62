"""A `forEach` whose list is known only while the run goes on: what its one step in the file becomes."""

from collections.abc import Sequence

from stepwave.core.building.labels import item_labels
from stepwave.core.events import Outcome
from stepwave.core.model import Step, StepType, Value
from stepwave.core.running.track import Track
from stepwave.core.text import plural


def parts(step: Step, items: Sequence[Value]) -> tuple[Step, ...]:
    """One step for each item, in order; `step` is of type FAN_OUT. They need nothing: their time has come."""
    return tuple(
        _part(step, f"{step.id}[{label}]", {"item": item, "index": index})
        for index, (label, item) in enumerate(zip(item_labels(items), items, strict=True))
    )


def gathered(parts: Sequence[Track]) -> tuple[Outcome, str | None]:
    """How the step has ended whose parts these are, all of which have: as well as the worst of them; and why it has not
    passed."""
    bad = [part.step.id for part in parts if part.outcome is not Outcome.COMPLETED]
    if all(part.passes for part in parts):
        return Outcome.COMPLETED, None
    failed = any(part.outcome in (Outcome.FAILED, Outcome.TIMEOUT) and not part.passes for part in parts)
    outcome = Outcome.FAILED if failed else Outcome.CANCELLED
    return outcome, f"{len(bad)} of its {plural(len(parts), 'part')} did not complete"


def _part(step: Step, id: str, bindings: dict[str, Value]) -> Step:
    bindings = {**step.bindings, **bindings}
    undo = step.undo and step.undo._replace(id=f"{id}.undo", bindings=bindings)
    return step._replace(
        id=id,
        name=id if step.name == step.id else step.name,
        type=StepType.SCRIPT if step.argv else StepType.AGENT if step.agent else StepType.NOOP,
        needs=(),
        condition=None,
        for_each=None,
        family=step.id,
        bindings=bindings,
        undo=undo,
    )
