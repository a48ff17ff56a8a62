"""Units that are not the run's own: a launcher in front of another one, which answers `Lease` and `Release`.

The units themselves belong to *lenders*, one for each pool: lock files of this machine, tokens of make.

Rule 1  Every `Lease` is answered at once, with `Leased` or with `Deferred`; a deferred one later with `Leased`, unless
        its `Release` comes first.
Rule 2  All or nothing: where one lender has nothing to give, the others have put back what they gave before this
        returns.
Rule 3  Who asked first is tried first, and of those that wait for the same pool nobody is served before one that asked
        before. What else that one wants, others may have meanwhile.
Rule 4  Nobody tries on a whim: the descriptor of a lender that lacked something is readable, a step of this run gave
        something back, or the schedule orders it, after as many seconds as the lender said.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

from stepwave.core.events import Deferred, Launch, Lease, Leased, Order, Release, Signal
from stepwave.core.model import RATE_LIMIT
from stepwave.engine import Inbox, Launcher

Wants = tuple[tuple[str, int], ...]


class Lender(Protocol):
    """Who has the units of one pool. Everything is called in the thread of the loop, and nothing may block.

    `wait_fd`: a descriptor that is readable when trying again may succeed; a try that fails must leave it unreadable,
    or the loop would spin. None: there is none. `retry_s`: the seconds after which to try again, whatever the
    descriptor says; None: there is no need to. Both are looked at after a try that failed.
    """

    @property
    def wait_fd(self) -> int | None: ...

    @property
    def retry_s(self) -> float | None: ...

    def try_take(self, step: str, units: int) -> bool:
        """Take that many units for the step, or none."""

    def put_back(self, step: str) -> None:
        """What the step has just taken: another lender had nothing for it. It goes on waiting."""

    def give_back(self, step: str) -> None:
        """What the step has taken, if anything, and its place among those who wait. May be called more than once."""

    def close(self) -> None:
        """Everything is given back. No step runs any more."""


class Leasing:
    """`lenders` by the names of their pools: there is one for every pool that a `Lease` may name. All other orders go
    to `launcher`."""

    def __init__(self, launcher: Launcher, inbox: Inbox, lenders: Mapping[str, Lender]) -> None:
        self._launcher = launcher
        self._inbox = inbox
        self._lenders = lenders
        self._waiting: dict[str, Wants] = {}  # in the order in which they asked
        self._lacked: dict[str, str] = {}  # the pool that had nothing when a waiting step last tried
        self._told_s: dict[str, float | None] = {}  # after how many seconds it was to try again
        self._watched: set[int] = set()

    def obey(self, order: Order) -> None:
        if isinstance(order, Lease):
            self._lease(order)
        elif isinstance(order, Release):
            self._release(order.step)
        else:
            if isinstance(order, Launch) and RATE_LIMIT in self._lenders:
                self._lenders[RATE_LIMIT].give_back(order.step)  # its turn ends with the start
            self._launcher.obey(order)

    def _lease(self, order: Lease) -> None:
        self._waiting.setdefault(order.step, order.wants)
        answer = self._try(order.step)
        self._inbox.put(answer)
        if isinstance(answer, Leased):
            self._put_all(self._try_all())  # it stands in nobody's way any more
        self._watch()

    def _release(self, step: str) -> None:
        self._forget(step)
        for lender in self._lenders.values():
            lender.give_back(step)
        self._put_all(self._try_all())

    def _put_all(self, signals: Iterable[Signal]) -> None:
        for signal in signals:
            self._inbox.put(signal)

    # --- trying -------------------------------------------------------------------------------------

    def _try_all(self) -> Iterable[Signal]:
        """Those who are served now; and those of whom it has come to be known when to try again."""
        signals: list[Signal] = []
        for step in tuple(self._waiting):
            told_s = self._told_s.get(step)
            answer = self._try(step)
            if isinstance(answer, Leased) or answer.retry_s not in (None, told_s):
                signals.append(answer)
        self._watch()
        return signals

    def _try(self, step: str) -> Leased | Deferred:
        """Take all that a waiting step wants, or nothing; it waits no more when that went well."""
        wants = self._waiting[step]
        if before := self._first_come(step, wants):
            return Deferred(step, before)
        for n, (pool, units) in enumerate(wants):
            if not self._lenders[pool].try_take(step, units):
                for taken, _ in wants[:n]:
                    self._lenders[taken].put_back(step)
                self._lacked[step], self._told_s[step] = pool, self._lenders[pool].retry_s
                return Deferred(step, (pool,), self._told_s[step])
        self._forget(step)
        return Leased(step)

    def _forget(self, step: str) -> None:
        for noted in (self._waiting, self._lacked, self._told_s):
            noted.pop(step, None)

    def _first_come(self, step: str, wants: Wants) -> tuple[str, ...]:
        """Pools that somebody wants who asked before."""
        before: set[str] = set()
        for other, theirs in self._waiting.items():
            if other == step:
                break
            if other in self._lacked:  # what else it wants is of no use to it now
                before.add(self._lacked[other])
            elif not any(pool in before for pool, _ in theirs):
                before.update(pool for pool, _ in theirs)
        return tuple(pool for pool, _ in wants if pool in before)

    def _watch(self) -> None:
        """The descriptors of those lenders alone that lacked something: one that has it may be readable for good."""
        wanted = {fd for pool in {*self._lacked.values()} if (fd := self._lenders[pool].wait_fd) is not None}
        for fd in self._watched - wanted:
            self._inbox.unwatch(fd)
        for fd in wanted - self._watched:
            self._inbox.watch(fd, self._try_all)
        self._watched = wanted

    def close(self) -> None:
        """That of the launcher. The lenders belong to whoever made them, and are closed after it."""
        for fd in self._watched:
            self._inbox.unwatch(fd)
        self._watched.clear()
        self._waiting.clear()
        self._launcher.close()
