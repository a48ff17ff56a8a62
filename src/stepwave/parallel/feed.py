"""The input of a map: taken item by item, in the thread of the caller, never further ahead than is asked for."""

from collections.abc import Iterable, Sized
from itertools import islice
from time import monotonic
from typing import Generic, TypeVar

from stepwave.parallel.ended import Stretch

T = TypeVar("T")

PATIENCE_S = 0.002
"""A slow generator is asked no longer than this (but for one item) before what it gave is set going."""
STILL_ON_TIME_S = 0.05
"""A start that is later than this moves all later ones; one that is less late does not, so that nothing drifts."""
CLOSER_S = 0.005
"""After a late start the next ones may follow so much sooner, until they are on time again."""


def length_of(items: Iterable[object]) -> int | None:
    """None for what has no length, or one that cannot be told: `range(10**25)` has more items than a length can say."""
    try:
        return len(items) if isinstance(items, Sized) else None
    except (TypeError, OverflowError, NotImplementedError):
        return None


class Feed(Generic[T]):
    """`total` is None for an input of unknown length. `not_before`: when the next item may be taken (monotonic clock).

    With an `interval_s` greater than 0 items are to be taken one by one, each after `keep_pace`.
    """

    def __init__(self, items: Iterable[T], interval_s: float = 0.0) -> None:
        self.total = length_of(items)
        self.taken = 0
        self.exhausted = False
        self.not_before = self._due = 0.0
        self.is_paced = interval_s > 0
        self._interval_s = interval_s
        self._is_quick = isinstance(items, list | tuple | range)
        self._items = iter(items)

    def remaining(self) -> int | None:
        """How many are still to be taken; at least 1 while it is not exhausted, whatever `len` has said."""
        return None if self.total is None else max(1, self.total - self.taken)

    def keep_pace(self) -> None:
        """An item is about to begin: the next one will not before its time."""
        now = monotonic()
        self._due = (self._due if now - self._due < STILL_ON_TIME_S else now) + self._interval_s
        self.not_before = max(self._due, now + self._interval_s - min(CLOSER_S, self._interval_s / 2))

    def take(self, wanted: int) -> Stretch:
        """At most `wanted` items. Raises what the input raises."""
        if self._is_quick:
            items = list(islice(self._items, wanted))
            self.exhausted = len(items) < wanted or self.taken + wanted == self.total
        else:
            items = self._patiently(wanted)
        stretch = Stretch(self.taken, items)
        self.taken += len(items)
        return stretch

    def _patiently(self, wanted: int) -> list[T]:
        until = monotonic() + PATIENCE_S
        items = []
        for item in islice(self._items, wanted):
            items.append(item)
            if monotonic() > until:
                return items
        self.exhausted = len(items) < wanted
        return items
