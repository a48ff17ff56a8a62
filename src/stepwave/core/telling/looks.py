"""How the end of a step looks in pictures and pages: a word, a mark and a colour, told apart by each of the three."""

from collections.abc import Mapping
from typing import NamedTuple

from stepwave.core.events import Outcome
from stepwave.core.telling.story import StepStory


class Look(NamedTuple):
    """`key` names it in style sheets and data; `word` is for people; `mark` is a path (SVG 1.1, 8.3) in a square of 16.

    `light` and `dark` are colours that keep a contrast of 4.5 and more to the paper of pictures.
    """

    key: str
    word: str
    mark: str
    light: str
    dark: str


_cross = "M4.5 4.5 11.5 11.5M11.5 4.5 4.5 11.5"
_back = "M6.4 3.8 3.6 6.6 6.4 9.4M3.8 6.6H9.4a2.9 2.9 0 0 1 0 5.8H6.6"
LOOKS: Mapping[str, Look] = {
    look.key: look
    for look in (
        Look("failed", "failed", _cross, "#c0342b", "#f4837a"),
        Look("timeout", "timed out", "M8 4.2V8.2L10.8 10M8 2.5a5.5 5.5 0 1 0 .01 0", "#b0500f", "#f2a364"),
        Look("lost", "lost", "M5.8 6a2.2 2.2 0 1 1 3.2 2C8.3 8.4 8 8.8 8 9.7M8 12v.3", "#8f2f69", "#e294c4"),
        Look("tolerated", "failed (tolerated)", "M8 3.5V9M8 11.9v.3", "#8a6100", "#e0bb58"),
        Look("cancelled", "cancelled", "M4.5 4.5H11.5V11.5H4.5Z", "#7d5a2f", "#d3b083"),
        Look("running", "running", "M5.8 4.2 11.4 8 5.8 11.8Z", "#1f66c7", "#80b4ff"),
        Look("retrying", "waits to retry", "M11.8 8A3.8 3.8 0 1 1 10.4 5.1M10.6 2.8V5.4H8", "#1f66c7", "#80b4ff"),
        Look("waiting", "waiting", "M4.6 8H4.7M8 8H8.1M11.3 8H11.4", "#626b78", "#98a2af"),
        Look("completed", "completed", "M3.8 8.6 6.8 11.4 12.2 4.9", "#22784c", "#6ccf9c"),
        Look("reused", "reused", "M4 6.4H12M4 9.8H12", "#14737f", "#6fcad6"),
        Look("rolled_back", "rolled back", _back, "#6c49ad", "#bda2f5"),
        Look("skipped", "skipped", "M4.2 8H11.8", "#626b78", "#98a2af"),
        Look("unstarted", "not started", "M8 8H8.1", "#626b78", "#98a2af"),
        Look("planned", "planned", "M4.4 4.8 7.6 8 4.4 11.2M8.8 11.2H12", "#4a5568", "#a4afbd"),
    )
}  # fmt: skip
"""In the order of what a person wants to see first."""


def look_of(step: StepStory, alive: bool) -> Look:
    """How a step has ended, or where it is; `alive`: its run goes on."""
    if step.outcome is Outcome.COMPLETED and step.taken_from is not None:
        return LOOKS["reused"]
    if step.outcome is not None:
        return LOOKS["tolerated" if step.tolerated else step.outcome.value]
    if not step.attempts:
        return LOOKS["waiting" if alive else "unstarted"]
    if step.attempts[-1].end_s is None:
        return LOOKS["running" if alive else "lost"]
    return LOOKS["retrying" if alive else "lost"]


def busy_s(step: StepStory, until_s: float) -> float:
    """How long it ran, all attempts together; what still runs counts up to `until_s`."""
    return sum((until_s if one.end_s is None else one.end_s) - one.begin_s for one in step.attempts)
