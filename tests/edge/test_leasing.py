"""The launcher in front: all or nothing, first come, first served, and nobody tries on a whim."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from stepwave.core.events import Deferred, Launch, Lease, Leased, Order, Release, Signal
from stepwave.core.model import RATE_LIMIT, Limits
from stepwave.edge.host_pools import HostPool
from stepwave.edge.leasing import Leasing
from stepwave.engine import Inbox


class Till:
    """A lender with a number of units, and a pipe that has a byte in it while there are any."""

    def __init__(self, units: int) -> None:
        self.units = units
        self.held: dict[str, int] = {}
        self.tries: list[str] = []
        self.wait_fd, self._bell = os.pipe()
        self.retry_s = None
        os.set_blocking(self.wait_fd, False)
        self._show()

    def _show(self) -> None:
        if self.units:
            os.write(self._bell, b"!")
        else:
            with suppress(BlockingIOError):
                os.read(self.wait_fd, 4096)

    def try_take(self, step: str, units: int) -> bool:
        self.tries.append(step)
        if self.units < units:
            return False
        self.units -= units
        self.held[step] = units
        self._show()
        return True

    def put_back(self, step: str) -> None:
        self.give_back(step)

    def give_back(self, step: str) -> None:
        if units := self.held.pop(step, 0):
            self.add(units)

    def add(self, units: int) -> None:
        self.units += units
        self._show()

    def close(self) -> None:
        os.close(self.wait_fd)
        os.close(self._bell)


class Behind:
    """What is behind it writes down what it is told."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.closed = False

    def obey(self, order: Order) -> None:
        self.orders.append(order)

    def close(self) -> None:
        self.closed = True


class Desk:
    def __init__(self, **units: int) -> None:
        self.tills = {name: Till(count) for name, count in units.items()}
        self.inbox = Inbox()
        self.behind = Behind()
        self.leasing = Leasing(self.behind, self.inbox, self.tills)

    def ask(self, step: str, *wants: str) -> list[Signal]:
        self.leasing.obey(Lease(step, tuple((name, 1) for name in wants)))
        return self.inbox.wait(0)

    def release(self, step: str) -> list[Signal]:
        self.leasing.obey(Release(step))
        return self.inbox.wait(0)


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk(gpu=1, token=1)
    yield made
    made.leasing.close()
    for till in made.tills.values():
        till.close()


def test_what_is_free_is_granted_at_once_and_what_is_not_is_waited_for(desk: Desk) -> None:
    assert desk.ask("a", "gpu") == [Leased("a")]
    assert desk.ask("b", "gpu") == [Deferred("b", ("gpu",))]
    assert desk.inbox.wait(0) == []
    assert desk.release("a") == [Leased("b")]
    assert desk.release("b") == [] and desk.tills["gpu"].units == 1


def test_all_or_nothing_and_no_look_at_what_is_not_lacking(desk: Desk) -> None:
    gpu, token = desk.tills["gpu"], desk.tills["token"]
    assert desk.ask("a", "token") == [Leased("a")]
    assert desk.ask("b", "gpu", "token") == [Deferred("b", ("token",))]
    assert gpu.units == 1 and not gpu.held, "nothing is kept"
    tries = len(gpu.tries)
    assert desk.inbox.wait(0) == [] and len(gpu.tries) == tries, "that one has units for good: nobody looks at it"
    token.add(1)
    assert desk.inbox.wait(0) == [Leased("b")]


def test_nobody_is_served_before_one_that_asked_before(desk: Desk) -> None:
    gpu = desk.tills["gpu"]
    assert desk.ask("a", "gpu") == [Leased("a")]
    assert desk.ask("both", "gpu", "token") == [Deferred("both", ("gpu",))]
    assert desk.ask("late", "gpu") == [Deferred("late", ("gpu",))] and gpu.tries == ["a", "both"]
    assert desk.ask("other", "token") == [Leased("other")], "what else one wants that waits is of no use to it now"
    assert desk.release("other") == [] and desk.release("a") == [Leased("both")]
    assert desk.release("both") == [Leased("late")]


def test_what_is_taken_back_is_never_granted(desk: Desk) -> None:
    assert desk.ask("a", "gpu") == [Leased("a")]
    assert desk.ask("b", "gpu") == [Deferred("b", ("gpu",))]
    assert desk.release("b") == [] and desk.release("a") == [] and desk.release("a") == []
    assert desk.tills["gpu"].units == 1


def test_the_same_order_again_tries_again(desk: Desk) -> None:
    gpu = desk.tills["gpu"]
    assert desk.ask("a", "gpu") == [Leased("a")]
    assert desk.ask("b", "gpu") == desk.ask("b", "gpu") == [Deferred("b", ("gpu",))]
    gpu.units += 1  # without a word
    assert desk.inbox.wait(0) == [] and desk.ask("b", "gpu") == [Leased("b")]


def test_a_step_may_ask_for_more_and_gives_all_back_at_once(desk: Desk) -> None:
    assert desk.ask("a", "gpu") == desk.ask("a", "token") == [Leased("a")]
    assert desk.release("a") == [] and all(till.units == 1 for till in desk.tills.values())


def test_all_else_is_passed_on_and_a_launch_ends_a_turn(tmp_path: Path) -> None:
    turns, behind, inbox = Till(1), Behind(), Inbox()
    leasing = Leasing(behind, inbox, {RATE_LIMIT: turns})
    launch = Launch("a", 1, ("true",), "/", {}, None, Limits(), "logs/a.log")
    leasing.obey(Lease("a", ((RATE_LIMIT, 1),)))
    leasing.obey(Lease("b", ((RATE_LIMIT, 1),)))
    assert inbox.wait(0) == [Leased("a"), Deferred("b", (RATE_LIMIT,))]
    leasing.obey(launch)
    assert behind.orders == [launch] and inbox.wait(0) == [Leased("b")]
    leasing.close()
    turns.close()
    assert behind.closed


def test_a_moment_that_comes_to_be_known_is_told(tmp_path: Path) -> None:
    """Of a turn somebody else has it is not known when it ends; once it has ended, it is."""
    ours, theirs = (HostPool(tmp_path, "rate", 1, {}, 100.0) for _ in range(2))
    inbox = Inbox()
    leasing = Leasing(Behind(), inbox, {RATE_LIMIT: ours})
    assert theirs.try_take("x", 1)
    leasing.obey(Lease("a", ((RATE_LIMIT, 1),)))
    [first] = inbox.wait(0)
    assert isinstance(first, Deferred) and first.retry_s is not None and first.retry_s < 1
    theirs.give_back("x")
    [then] = inbox.wait(0)
    assert isinstance(then, Deferred) and then.retry_s is not None and 90 < then.retry_s <= 100
    leasing.obey(Release("a"))
    leasing.close()
    for pool in (ours, theirs):
        pool.close()
