"""Which ready step starts next: the order, the slots, the pools, the wave limits and who may not be overtaken.

Rule 1  A step takes a slot and all the units it needs at once, or nothing: two steps never hold one pool each and wait.
Rule 2  Order is (priority, lower first; longest remaining path, or the urgency that the plan has instead; file order).
        A part of a `forEach` is as urgent as the whole. A step that does not fit is passed over, but only so often:
        once it has seen PATIENCE x slots launches, nothing that comes after it and needs its pools starts before it.
Rule 3  An exclusive step runs alone.
Rule 4  While a step with `maxConcurrency: N` runs, at most N steps of its wave run, itself included.
Rule 5  What is held of memory and what a step needs of it fit into the budget, or nothing else that needs any is held.
        Who has waited as long as rule 2 says, and lacks nothing but memory, lets none after it have any.

Steps that ask for the same things wait in one line, so a blocked pool costs one look however many wait for it. The
first ones of all lines are kept in order: there may be a line for every step (each takes a pool of its own).
"""

from bisect import bisect_left, insort
from collections.abc import Callable
from heapq import heappop, heappush
from typing import NamedTuple

from stepwave.core.model import Step
from stepwave.core.plan import Plan
from stepwave.core.text import size_of

PATIENCE = 4


class Ask(NamedTuple):
    """What a step needs in order to start; equal asks share a line."""

    units: tuple[tuple[str, int], ...]
    exclusive: bool
    wave: int | None  # None where no step of the wave has a limit of its own
    wave_limit: int | None
    memory_bytes: int = 0  # 0: nobody knows


_nothing = Ask((), exclusive=False, wave=None, wave_limit=None)


class Ticket(NamedTuple):
    """A place in a line; sorts in starting order."""

    priority: int
    minus_urgency: float
    place: int
    id: str
    since: int  # launches before it became ready


class Admission:
    """The only place that counts slots, units and memory. `capacity` and `budget_bytes` may change while steps run:
    then they hold for new ones. Without a budget nobody minds memory. `short` are those that the last look found to
    lack nothing but memory, of those that ask for the same only the first."""

    def __init__(self, plan: Plan, capacity: int) -> None:
        self.plan = plan
        self.capacity = capacity
        self.units = plan.workflow.pools
        self.free = dict(self.units)
        self.running: dict[str, Ask] = {}
        self.launches = 0
        self.budget_bytes: int | None = None
        self.held_bytes = 0
        self.short: list[str] = []
        self._need_of: Callable[[Step], int] | None = None
        self._urgency = plan.remaining_s if plan.urgency is None else plan.urgency
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
            memory_bytes=self._need_of(step) if self._need_of else 0,
        )

    def mind_memory(self, need_of: Callable[[Step], int]) -> None:
        """From here on steps need this many bytes; 0: nobody knows. Before any of them is added."""
        self._need_of = need_of
        self._asks = {id: ask._replace(memory_bytes=need_of(self.plan.steps[id])) for id, ask in self._asks.items()}

    def need(self, id: str) -> int:
        """Bytes of memory that the step is expected to need; 0: nobody knows."""
        return self._asks[id].memory_bytes

    @property
    def waiting(self) -> int:
        return self._waiting

    def join(self, step: Step, wave: int) -> None:
        """A step that is not in the plan; among its equals it comes last."""
        self._index[step.id] = len(self._index)
        self._asks[step.id] = self._ask(step, {wave} if step.max_concurrency is not None else set(), wave)

    def add(self, step: Step, ticket: Ticket | None = None) -> None:
        """The step is ready. `ticket`: another place than the one that is its due."""
        id = step.id
        if ticket is None:
            ticket = Ticket(step.priority, -self._urgency_of(step), self._index[id], id, self.launches)
        ask = self._asks[id]
        line = self._lines.setdefault(ask, [])
        if line and ticket < line[0]:
            del self._heads[bisect_left(self._heads, (line[0], ask))]
        if not line or ticket < line[0]:
            insort(self._heads, (ticket, ask))
        heappush(line, ticket)
        self._waiting += 1

    def _urgency_of(self, step: Step) -> float:
        urgency = self._urgency.get(step.id)
        return self._urgency.get(step.family, 0.0) if urgency is None else urgency

    def remove(self, id: str) -> None:
        """The step, which is waiting, will not start after all."""
        self._gone.add(id)
        self._waiting -= 1

    def take(self) -> str | None:
        """The next step to start, which now holds what it asked for; None when none fits."""
        if not self._waiting or len(self.running) >= self.capacity or self._is_alone():
            return None
        kept_back: set[str] = set()
        keeps_memory = False
        self.short = []
        n = 0
        while n < len(self._heads):
            ticket, ask = self._heads[n]
            if ticket.id in self._gone:
                self._gone.discard(ticket.id)
                self._next_in_line(n)
                continue
            fits = self._fits(ask) and not any(pool in kept_back for pool, _ in ask.units)
            is_short = fits and self._lacks_memory(ask)
            if is_short:
                self.short.append(ticket.id)
            elif fits and not (keeps_memory and ask.memory_bytes):
                return self._start(n)
            if self.launches - ticket.since > PATIENCE * self.capacity:
                if ask.exclusive or ask.wave_limit is not None:
                    return None
                kept_back.update(pool for pool, _ in ask.units)
                keeps_memory = keeps_memory or is_short
            n += 1
        return None

    # --- ahead of time --------------------------------------------------------------------------------

    def first(self) -> Ticket | None:
        """Who is before all others, whatever it asks for; None when nobody waits."""
        while self._heads and self._heads[0][0].id in self._gone:
            self._gone.discard(self._heads[0][0].id)
            self._next_in_line(0)
        return self._heads[0][0] if self._heads else None

    def promise(self) -> None:
        """Who is before all others waits no more. It needs nothing but a slot, and gets one by `start_promised`, or
        comes back by `add`."""
        self._next_in_line(0)
        self._waiting -= 1

    def start_promised(self, id: str) -> None:
        """What was promised has started in a slot that is given back right after this."""
        self.running[id] = self._asks[id]
        self.launches += 1

    def wants_nothing(self, id: str) -> bool:
        """Whether the step needs a slot and nothing else."""
        return self._asks[id] == _nothing

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

    def _lacks_memory(self, ask: Ask) -> bool:
        if self.budget_bytes is None or not self.held_bytes or not ask.memory_bytes:
            return False
        return self.held_bytes + ask.memory_bytes > self.budget_bytes

    def _is_alone(self) -> bool:
        """Whether an exclusive step is running."""
        return any(other.exclusive for other in self.running.values())

    def blocked_by(self, ask: Ask) -> str | None:
        """What but memory keeps such a step from starting now, as the end of a sentence; None when nothing does."""
        if len(self.running) >= self.capacity:
            return f"all {self.capacity} slots are taken"
        if ask.exclusive and self.running:
            return "it runs alone and other steps are running"
        if self._is_alone():
            return "an exclusive step is running"
        for pool, units in ask.units:
            if units > self.free[pool]:
                return f"pool `{pool}` has {self.free[pool]} of {self.units[pool]} units free"
        if ask.wave is not None:
            mates = [other for other in self.running.values() if other.wave == ask.wave]
            limits = [a.wave_limit for a in (*mates, ask) if a.wave_limit is not None]
            if limits and len(mates) >= min(limits):
                return f"at most {min(limits)} of its wave may run at once"
        return None

    def why_waiting(self, id: str) -> str:
        ask = self._asks[id]
        blocked = self.blocked_by(ask)
        if blocked is None and self._lacks_memory(ask):
            left = max(0, (self.budget_bytes or 0) - self.held_bytes)
            return f"it needs {size_of(ask.memory_bytes)} of memory, and {size_of(left)} are left"
        return blocked or "it is next in line"

    def _start(self, n: int) -> str:
        ticket, ask = self._heads[n]
        self._next_in_line(n)
        for pool, units in ask.units:
            self.free[pool] -= units
        self.held_bytes += ask.memory_bytes
        self.running[ticket.id] = ask
        self.launches += 1
        self._waiting -= 1
        return ticket.id

    def give_back(self, id: str) -> None:
        """The step's process tree is gone: its slot and units are free."""
        ask = self.running.pop(id)
        self.held_bytes -= ask.memory_bytes
        for pool, units in ask.units:
            self.free[pool] += units
