"""What earlier runs know: a success of theirs may stand for a step of this one, which is then not run again.

Two reasons, one door. *Resume*: the run that is continued completed the step, nothing about the step has changed, and
nothing that it needs has run again. *Reuse*: the step declares its `inputs` or `outputs`, and neither they nor its
command have changed since it last succeeded.
"""

from typing import NamedTuple, Protocol

from stepwave.core.events import Launch, StepFinished
from stepwave.core.model import Step


class Prior(NamedTuple):
    """A success of an earlier run. `stdout` and `stderr` are None where they were not kept, or more than 64 KiB;
    `stdout_path` is absolute, "" where there is no such file."""

    run: str
    exit_code: int | None = None
    stdout: str | None = None
    stderr: str | None = None
    stdout_path: str = ""
    stdout_bytes: int = 0


class Memory(Protocol):
    """Asked about steps of stage MAIN that would start now, and told of those that do. May read files; never raises."""

    def knows(self, step: Step) -> bool:
        """Whether there may be anything to recall of the step: to work out its order takes longer than to ask."""

    def recall(self, step: Step, launch: Launch, *, untouched: bool, wants_output: bool) -> Prior | None:
        """A success that stands for the step, or None.

        `launch` is the order that would start it, with everything filled in. `untouched`: nothing that it needs has
        run in this run. `wants_output`: a later step refers to what it printed, so a success without that is none.
        """

    def starts(self, step: Step, launch: Launch) -> None:
        """An attempt is ordered to start: this is what it is started with."""

    def ends(self, step: Step, finished: StepFinished) -> str | None:
        """The step has its outcome. What has become of the files that it made, for the end of a sentence: `its outputs
        were moved to …`; None when there is nothing to be told."""
