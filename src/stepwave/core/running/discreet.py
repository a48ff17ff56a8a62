"""A memory that is told of no secret."""

from stepwave.core.events import Launch, StepFinished
from stepwave.core.masked import Masks
from stepwave.core.model import Step
from stepwave.core.running.memory import Memory, Prior


class Discreet:
    """Another memory behind masks: what a step is started with is the same to it whatever its secrets are."""

    def __init__(self, memory: Memory, masks: Masks) -> None:
        self._memory = memory
        self._masks = masks

    def knows(self, step: Step) -> bool:
        """See `Memory`."""
        return self._memory.knows(step)

    def recall(self, step: Step, launch: Launch, *, untouched: bool, wants_output: bool) -> Prior | None:
        """See `Memory`."""
        shown = self._masks.launch(launch)
        return self._memory.recall(step, shown, untouched=untouched, wants_output=wants_output)

    def starts(self, step: Step, launch: Launch) -> None:
        """See `Memory`."""
        self._memory.starts(step, self._masks.launch(launch))

    def ends(self, step: Step, finished: StepFinished) -> str | None:
        """See `Memory`."""
        shown = self._masks.event(finished)
        assert isinstance(shown, StepFinished)
        return self._memory.ends(step, shown)
