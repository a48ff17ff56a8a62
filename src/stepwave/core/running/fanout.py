"""A `forEach` whose list is known only while the run goes on: what its one step in the file becomes."""

from collections.abc import Sequence

from stepwave.core.building.labels import item_labels
from stepwave.core.model import Step, StepType, Value


def parts(step: Step, items: Sequence[Value]) -> tuple[Step, ...]:
    """One step for each item, in order; `step` is of type FAN_OUT. They need nothing: their time has come."""
    return tuple(
        _part(step, f"{step.id}[{label}]", {"item": item, "index": index})
        for index, (label, item) in enumerate(zip(item_labels(items), items, strict=True))
    )


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
