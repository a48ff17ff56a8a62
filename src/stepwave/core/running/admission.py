"""Which ready step starts next: the order, the slots, the pools, the wave limits and who may not be overtaken.

Rule 1  A step takes a slot and all the units it needs at once, or nothing: two steps never hold one pool each and wait.
Rule 2  Order is (priority, lower first; longest remaining path; file order). A step that does not fit is passed over,
        but only so often: once it has seen PATIENCE x slots launches, nothing that needs its pools starts before it.
Rule 3  An exclusive step runs alone.
Rule 4  While a step with `maxConcurrency: N` runs, at most N steps of its wave run, itself included.

Steps that ask for the same things wait in one line, so a blocked pool costs one look however many wait for it. The
first ones of all lines are kept in order: there may be a line for every step (each takes a pool of its own).
"""

from bisect import bisect_left, insort
from heapq import heappop, heappush
from typing import NamedTuple

from stepwave.core.model import Step
from stepwave.core.plan import Plan

PATIENCE = 4


class Ask(NamedTuple):
    """What a step needs in order to start; equal asks share a line."""

    units: tuple[tuple[str, int], ...]
    exclusive: bool
    wave: int | None  # None where no step of the wave has a limit of its own
    wave_limit: int | None


class Ticket(NamedTuple):
    """A place in a line; sorts in starting order."""

    priority: int
    minus_remaining_s: float
    place: int
    id: str
    since: int  # launches before it became ready


class Admission:
    """The only place that counts slots and units. `capacity` may change while steps run: then it holds for new ones."""

    def __init__(self, plan: Plan, capacity: int) -> None:
        self.plan = plan
        self.capacity = capacity
        self.free = dict(plan.workflow.pools)
        self.running: dict[str, Ask] = {}
        self.launches = 0
        self._index = {id: n for n, id in enumerate(plan.steps)}
        limited = {plan.wave_of[step.id] for step in plan.steps.values() if step.max_concurrency is not None}
        self._asks = {id: self._ask(step, limited, plan.wave_of[id]) for id, step in plan.steps.items()}
        self._lines: dict[Ask, list[Ticket]] = {}
        self._heads: list[tuple[Ticket, Ask]] = []  # the first one of every line; no two tickets are equal
        self._gone: set[str] = set()
        self._waiting = 0

    def _ask(self, step: Step, limited: set[int], wave: int) -> Ask:
        return Ask(
            units=step.resources,
            exclusive=step.exclusive,
            wave=wave if wave in limited else None,
            wave_limit=step.max_concurrency,
        )

    @property
    def waiting(self) -> int:
        return self._waiting

    def join(self, step: Step, wave: int) -> None:
        """A step that is not in the plan; among its equals it comes last."""
        self._index[step.id] = len(self._index)
        self._asks[step.id] = self._ask(step, {wave} if step.max_concurrency is not None else set(), wave)

    def add(self, step: Step) -> None:
        """The step is ready."""
        id = step.id
        ticket = Ticket(step.priority, -self.plan.remaining_s.get(id, 0.0), self._index[id], id, self.launches)
        ask = self._asks[id]
        line = self._lines.setdefault(ask, [])
        if line and ticket < line[0]:
            del self._heads[bisect_left(self._heads, (line[0], ask))]
        if not line or ticket < line[0]:
            insort(self._heads, (ticket, ask))
        heappush(line, ticket)
        self._waiting += 1

    def remove(self, id: str) -> None:
        """The step, which is waiting, will not start after all."""
        self._gone.add(id)
        self._waiting -= 1

    def take(self) -> str | None:
        """The next step to start, which now holds what it asked for; None when none fits."""
        if not self._waiting or len(self.running) >= self.capacity or self._is_alone():
            return None
        kept_back: set[str] = set()
        n = 0
        while n < len(self._heads):
            ticket, ask = self._heads[n]
            if ticket.id in self._gone:
                self._gone.discard(ticket.id)
                self._next_in_line(n)
                continue
            if self._fits(ask) and not any(pool in kept_back for pool, _ in ask.units):
                return self._start(n)
            if self.launches - ticket.since > PATIENCE * self.capacity:
                if ask.exclusive or ask.wave_limit is not None:
                    return None
                kept_back.update(pool for pool, _ in ask.units)
            n += 1
        return None

    def _next_in_line(self, n: int) -> None:
        """The n-th head leaves; who stands behind it comes later in the order, never earlier."""
        _, ask = self._heads.pop(n)
        line = self._lines[ask]
        heappop(line)
        if line:
            insort(self._heads, (line[0], ask), lo=n)
        else:
            del self._lines[ask]

    def _fits(self, ask: Ask) -> bool:
        return self.blocked_by(ask) is None

    def _is_alone(self) -> bool:
        """Whether an exclusive step is running."""
        return any(other.exclusive for other in self.running.values())

    def blocked_by(self, ask: Ask) -> str | None:
        """What keeps such a step from starting now, as the end of a sentence; None when nothing does."""
        if len(self.running) >= self.capacity:
            return f"all {self.capacity} slots are taken"
        if ask.exclusive and self.running:
            return "it runs alone and other steps are running"
        if self._is_alone():
            return "an exclusive step is running"
        for pool, units in ask.units:
            if units > self.free[pool]:
                return f"pool `{pool}` has {self.free[pool]} of {self.plan.workflow.pools[pool]} units free"
        if ask.wave is not None:
            mates = [other for other in self.running.values() if other.wave == ask.wave]
            limits = [a.wave_limit for a in (*mates, ask) if a.wave_limit is not None]
            if limits and len(mates) >= min(limits):
                return f"at most {min(limits)} of its wave may run at once"
        return None

    def why_waiting(self, id: str) -> str:
        return self.blocked_by(self._asks[id]) or "it is next in line"

    def _start(self, n: int) -> str:
        ticket, ask = self._heads[n]
        self._next_in_line(n)
        for pool, units in ask.units:
            self.free[pool] -= units
        self.running[ticket.id] = ask
        self.launches += 1
        self._waiting -= 1
        return ticket.id

    def give_back(self, id: str) -> None:
        """The step's process tree is gone: its slot and units are free."""
        for pool, units in self.running.pop(id).units:
            self.free[pool] += units
