"""What every form asks of a run: how a step stands, how long it ran, why it ended, where it is written."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from stepwave.core.events import Outcome, Status
from stepwave.core.model import nothing
from stepwave.core.telling.story import Attempt, StepStory, Story
from stepwave.core.telling.wording import SKIP_WORDS


class Tail(NamedTuple):
    """The last lines of a log. `whole`: there were none before them."""

    lines: tuple[str, ...]
    whole: bool = True


class Reading(NamedTuple):
    """A run, and what is beside its record.

    `tails` has ends of logs by `Attempt.log`. `root`: paths below this folder are told from there, as a repository has
    them (absolute; "": all stay as they are). `traceparent` is what the caller of the run had as TRACEPARENT. `room`:
    bytes that a text with a limit may have.
    """

    story: Story
    tails: Mapping[str, Tail] = nothing
    root: str = ""
    traceparent: str | None = None
    room: int = 1_000_000

    def path(self, path: str) -> str:
        return path.removeprefix(f"{self.root.rstrip('/')}/") if self.root else path

    def end_of(self, attempt: Attempt) -> float:
        """When it ended, in seconds; of one that has not ended, the moment up to which the run is known."""
        return max(self.story.wall_s if attempt.end_s is None else attempt.end_s, attempt.begin_s)

    def ran_s(self, step: StepStory) -> float:
        """How long its attempts took together."""
        return sum(self.end_of(attempt) - attempt.begin_s for attempt in step.attempts)

    def state(self, step: StepStory) -> str:
        """Its outcome, `reused`, or how it stands without one: `running`, `waiting`; `lost`, `not started` when the
        run has died."""
        if step.outcome is None:
            begun = bool(step.attempts) and step.attempts[-1].end_s is None
            if self.story.alive:
                return "running" if begun else "waiting"
            return "lost" if begun else "not started"
        return "reused" if step.taken_from is not None else step.outcome.value

    def status(self) -> str:
        """Of the run: how it ended, `running` or `died`."""
        if self.story.status is None:
            return "running" if self.story.alive else "died"
        return self.story.status.value

    def tail(self, attempt: Attempt) -> Tail:
        return self.tails.get(attempt.log, Tail(()))

    def log_path(self, attempt: Attempt) -> str:
        """Absolute; "" when it printed nothing."""
        return f"{self.story.folder}/{attempt.log}" if attempt.log and attempt.log_bytes else ""


def is_failure(step: StepStory) -> bool:
    """Tolerated ones included."""
    return step.outcome in (Outcome.FAILED, Outcome.TIMEOUT)


def failures(story: Story) -> Iterator[StepStory]:
    return filter(is_failure, story.steps)


def has_failed(story: Story) -> bool:
    """Neither a success nor still at work."""
    return not story.alive and story.status is not Status.COMPLETED


def why(step: StepStory) -> str:
    """Why it ended as it did, as it was recorded; "" where there is nothing to say."""
    last = step.attempts[-1] if step.attempts else None
    if step.taken_from is not None:
        return f"run {step.taken_from} stands for it"
    if step.outcome is Outcome.COMPLETED:
        return ""
    if step.reason:
        return SKIP_WORDS.get(step.reason, step.reason)
    if last is None:
        return ""
    if last.exit_code is not None and step.outcome is not None:
        return f"exit code {last.exit_code}"
    return f"ended by signal {last.signal}" if last.signal is not None else ""


def exit_status(step: StepStory) -> tuple[int | None, int | None]:
    """Exit code and signal of its last attempt."""
    last = step.attempts[-1] if step.attempts else None
    return (last.exit_code, last.signal) if last else (None, None)
