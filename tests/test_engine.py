"""The loop and the spine, with listeners that fail."""

import pytest

from stepwave.core.events import Entry, RunStopping
from stepwave.engine import Inbox, ListenerFailed, Spine


class Ear:
    """Keeps what it hears; fails at the nth event."""

    refresh_s: float | None = None

    def __init__(self, fails_at: int = 0) -> None:
        self.heard: list[Entry] = []
        self.fails_at = fails_at
        self.closed = False

    def see(self, entry: Entry) -> None:
        if entry.seq == self.fails_at:
            raise OSError("no room")
        self.heard.append(entry)

    def refresh(self) -> None:
        raise OSError("no screen")

    def pause(self) -> None:
        """Nothing to clear."""

    def close(self) -> None:
        self.closed = True


EVENTS = [RunStopping("one"), RunStopping("two"), RunStopping("three")]


def test_entries_are_counted_without_gaps_and_time_never_goes_back() -> None:
    ear = Ear()
    spine = Spine("r", [ear], [], print)
    for event in EVENTS:
        spine.tell([event])
    assert [entry.seq for entry in ear.heard] == [1, 2, 3]
    assert [entry.event for entry in ear.heard] == EVENTS
    assert sorted(entry.elapsed_s for entry in ear.heard) == [entry.elapsed_s for entry in ear.heard]


def test_a_courtesy_listener_that_fails_is_muted_told_once_and_still_closed() -> None:
    told: list[str] = []
    bad, good = Ear(fails_at=2), Ear()
    spine = Spine("r", [], [bad, good], told.append)
    spine.tell(EVENTS)
    spine.close()
    assert (len(bad.heard), len(good.heard)) == (1, 3)
    assert told == ["ear is silent from here on: no room"]
    assert bad.closed
    assert good.closed


def test_a_required_listener_that_fails_ends_the_run() -> None:
    with pytest.raises(ListenerFailed, match="Ear: no room"):
        Spine("r", [Ear(fails_at=2)], [], print).tell(EVENTS)


class Settling(Ear):
    """Writes down when it is settled; cannot for the nth time."""

    def __init__(self, cannot: int = 0) -> None:
        super().__init__()
        self.settled: list[int] = []
        self.cannot = cannot

    def settle(self) -> None:
        self.settled.append(len(self.heard))
        if len(self.settled) == self.cannot:
            raise OSError("disk full")


def test_what_keeps_events_for_a_moment_is_settled_when_that_is_asked_for() -> None:
    listener, courtesy = Settling(), Settling(cannot=2)
    complaints: list[str] = []
    spine = Spine("r", [Ear(), listener], [Ear(), courtesy], complaints.append)
    spine.tell(EVENTS)
    spine.settle()
    spine.tell(EVENTS[:1])
    spine.tell(EVENTS[:1])
    spine.settle()
    spine.settle()
    assert (listener.settled, courtesy.settled) == ([3, 5, 5], [3, 5])
    assert complaints == ["settling is silent from here on: disk full"]
    with pytest.raises(ListenerFailed, match="Settling: disk full"):
        Spine("r", [Settling(cannot=1)], [], print).settle()


def test_what_is_put_into_the_inbox_comes_at_once() -> None:
    from stepwave.core.events import Interrupted

    inbox = Inbox()
    inbox.put(Interrupted(2))
    assert inbox.wait(None) == [Interrupted(2)]
    assert inbox.wait(0.0) == []
