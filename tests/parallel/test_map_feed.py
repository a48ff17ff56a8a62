"""The times of starts, as numbers."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwave.parallel import feed as feeds
from stepwave.parallel.feed import Feed


@given(st.floats(0.001, 10), st.lists(st.floats(0, 0.2), min_size=1, max_size=50))
def test_starts_are_never_much_closer_and_do_not_drift(interval_s: float, lateness: list[float]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        now = 1000.0
        patch.setattr(feeds, "monotonic", lambda: now)
        feed = Feed[int]([], interval_s)
        starts = []
        for late_s in lateness:
            now = max(now, feed.not_before) + late_s
            feed.keep_pace()
            starts.append(now)
    gaps = [b - a for a, b in pairwise(starts)]
    assert all(gap > interval_s - feeds.CLOSER_S - 1e-9 for gap in gaps)
    # So many as fit into the time, and what may be made up for.
    assert len(starts) <= (starts[-1] - starts[0] + feeds.STILL_ON_TIME_S) / interval_s + 1 + 1e-6


def test_small_delays_do_not_add_up() -> None:
    with pytest.MonkeyPatch.context() as patch:
        now = 1000.0
        patch.setattr(feeds, "monotonic", lambda: now)
        feed = Feed[int]([], 0.01)
        for n in range(1000):
            now = max(now, feed.not_before) + (0.004 if n % 2 else 0.0)
            feed.keep_pace()
    assert now - 1000 < 999 * 0.01 + 0.005


def test_taking() -> None:
    feed = Feed(range(5))
    assert feed.total == 5
    assert feed.take(3) == (0, [0, 1, 2])
    assert (feed.exhausted, feed.remaining()) == (False, 2)
    assert feed.take(2) == (3, [3, 4])
    assert feed.exhausted
    endless = Feed(iter([1, 2]))
    assert (endless.total, endless.remaining()) == (None, None)
    assert endless.take(2) == (0, [1, 2])
    assert not endless.exhausted
    assert endless.take(1) == (2, [])
    assert endless.exhausted
