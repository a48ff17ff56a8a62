"""Items on their way to a worker, and how they ended, on their way back."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from stepwave.core.text import duration
from stepwave.parallel.outcomes import Status

Task = tuple[int, Any]
"""Index and item."""
Ended = tuple[int, Any, Status, Any, BaseException | None, float]
"""The fields of an Outcome; a plain tuple, because there are millions."""


class Stretch(NamedTuple):
    """Items that follow one another in the input, the first of them with this index."""

    first: int
    items: list[Any]

    def tasks(self) -> Iterator[Task]:
        return zip(range(self.first, self.first + len(self.items)), self.items, strict=True)

    def cut(self, place: int) -> tuple["Stretch", "Stretch"]:
        return Stretch(self.first, self.items[:place]), Stretch(self.first + place, self.items[place:])


class Passed(NamedTuple):
    """A stretch of which each item has passed, with its values. Of how long they took nothing is known."""

    stretch: Stretch
    values: list[Any]

    def each(self) -> list[Ended]:
        pairs = zip(self.stretch.tasks(), self.values, strict=True)
        return [(index, item, Status.PASSED, value, None, 0.0) for (index, item), value in pairs]


Batch = list[Ended] | Passed


def count(batches: Sequence[Batch]) -> int:
    """How many items ended."""
    return sum(len(batch.values if isinstance(batch, Passed) else batch) for batch in batches)


def timed_out(limit_s: float, task: Task, took_s: float) -> Ended:
    error = TimeoutError(f"item {task[0]} timed out after {duration(limit_s)}")
    return (*task, Status.TIMEOUT, None, error, took_s)


def overtaken(after_s: float, task: Task, took_s: float) -> Ended:
    error = TimeoutError(f"item {task[0]} was running when time was over, after {duration(after_s)}")
    return (*task, Status.TIMEOUT, None, error, took_s)


def skipped(task: Task, after_s: float) -> Ended:
    error = TimeoutError(f"item {task[0]} had not begun when time was over, after {duration(after_s)}")
    return (*task, Status.SKIPPED, None, error, 0.0)
