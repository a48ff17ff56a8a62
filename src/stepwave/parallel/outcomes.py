"""What became of an item of a map, and what a map raises."""

import enum
from collections import Counter
from collections.abc import Iterable
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Status(enum.StrEnum):
    """How an item ended; each item of a map ends in exactly one of these ways."""

    PASSED = "passed"
    FAILED = "failed"
    """The function raised, the item or its result could not be sent, or the worker died."""
    TIMEOUT = "timeout"
    """It ran longer than `item_timeout`, or was running when `timeout` was over."""
    SKIPPED = "skipped"
    """It had not begun when `timeout` was over."""
    CANCELLED = "cancelled"
    """The function raised a CancelledError, that of asyncio or that of concurrent.futures."""


class Outcome(NamedTuple, Generic[T, R]):
    """One item: what the function returned (`value`, when it passed) or why not (`error`, otherwise).

    `index` counts from 0 in the order of the input. `duration_s`: seconds in the function; 0.0 when it never began.
    """

    index: int  # type: ignore[assignment]  # tuple.index, which nobody looks for in a record
    item: T
    status: Status
    value: R | None
    error: BaseException | None
    duration_s: float


class Totals(NamedTuple):
    """How many items ended in which way: the first five make `total`."""

    passed: int
    failed: int
    timeout: int
    skipped: int
    cancelled: int
    total: int


class WorkerDied(RuntimeError):  # noqa: N818 - says what it is
    """A worker process ended by itself or was killed, the message says how, while it ran an item."""


def totals(outcomes: Iterable[Outcome[Any, Any]]) -> Totals:
    """Count outcomes.

    >>> from stepwave.parallel import thread_map, totals
    >>> totals(thread_map(int, ["1", "two"], errors="collect"))
    Totals(passed=1, failed=1, timeout=0, skipped=0, cancelled=0, total=2)
    """
    found = Counter(outcome.status for outcome in outcomes)
    passed, failed, timeout, skipped, cancelled = (found[status] for status in Status)
    return Totals(passed, failed, timeout, skipped, cancelled, found.total())


def is_cancellation(error: BaseException) -> bool:
    """Whether it is a CancelledError of asyncio or concurrent.futures, neither of which is imported for that."""
    kinds = type(error).__mro__
    return any(
        k.__name__ == "CancelledError" and k.__module__.split(".")[0] in ("asyncio", "concurrent") for k in kinds
    )
