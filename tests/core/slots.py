"""Slots made of numbers: they obey `Follow`, `Recall` and `Stop` as `edge/local/supervisor.py` does, with every message
under way for a while. What truly happened is written down beside what the schedule was told."""

import heapq
import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from stepwave.core.events import (
    LONG_S,
    Event,
    Exited,
    Follow,
    Launch,
    Order,
    Recall,
    Returned,
    Signal,
    StepFinished,
    Stop,
    Tick,
)
from stepwave.core.plan import Plan
from stepwave.core.running.prepare import Preparation
from stepwave.core.running.schedule import Schedule
from tests.core.world import Acts

HOLD = 4
HOLD_S = 0.003
SPAWN_S = 0.0002
ON_THE_WAY_S = 0.002
"""A message takes no longer."""
TURN_S = 0.004
"""The runner takes no longer for a turn."""


class Begun(NamedTuple):
    """An attempt that truly began."""

    at: float
    step: str
    attempt: int
    by: str
    slot: int


class Work(NamedTuple):
    number: int
    launch: Launch
    began: float


@dataclass
class Slot:
    """Both ends: what the runner believes (`launch`, `sent`, `last`), and what is so."""

    id: int
    believed: tuple[int, Launch] | None = None
    sent: deque[tuple[int, Launch]] = field(default_factory=deque)
    last: int = 0
    work: Work | None = None
    queue: list[tuple[int, Launch]] = field(default_factory=list)
    number: int = 0
    begun: int = 0
    held: list[tuple[object, ...]] = field(default_factory=list)
    dead: bool = False
    arrives_there: float = 0.0
    arrives_here: float = 0.0


@dataclass
class Slots:
    """One run. `acts` gives what an attempt does; `kills` are moments at which a supervisor that works is killed."""

    plan: Plan
    acts: Callable[[str, int], Acts]
    chance: Random
    ahead: bool = True
    signals: list[tuple[float, Signal]] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)
    events: list[tuple[float, Event]] = field(default_factory=list)
    orders: list[tuple[float, Order]] = field(default_factory=list)
    begun: list[Begun] = field(default_factory=list)
    ended: list[tuple[float, str, int, bool]] = field(default_factory=list)
    working: set[str] = field(default_factory=set)
    overlaps: list[tuple[float, frozenset[str]]] = field(default_factory=list)
    told_at: list[tuple[float, Event]] = field(default_factory=list)

    def run(self) -> "Slots":
        self.now, self._count, self._moment = 0.0, 0, 0.0
        self._happens: list[tuple[float, int, Callable[[], None]]] = []
        self._read: list[tuple[Slot, tuple[object, ...] | None]] = []
        self._signals: list[Signal] = []
        self._slots: list[Slot] = []
        self._idle: list[Slot] = []
        self._busy: dict[tuple[str, int], Slot] = {}
        preparation = Preparation(self.plan, environ={}, run="r", run_folder="/run", now=0.0)
        self.schedule = schedule = Schedule(self.plan, preparation, ahead=self.ahead)
        for at, signal in self.signals:
            self._at(at, lambda signal=signal: self._signals.append(signal))  # type: ignore[misc]
        for at in self.kills:
            self._at(at, self._kill)
        events, orders = schedule.begin(0.0)
        self.events += [(0.0, event) for event in events]
        self._take(events, orders)
        while not schedule.done:
            self._wait()
            self._turn()
        while self._happens:
            self._step()
        return self

    # --- the runner ---------------------------------------------------------------------------------

    def _wait(self) -> None:
        while not self._read and not self._signals:
            alarm = self.schedule.next_alarm
            if alarm is not None and (not self._happens or alarm <= self._happens[0][0]):
                self.now = max(self.now, alarm)
                return
            assert self._happens, f"nothing will happen: {[self.schedule.why(id) for id in self.plan.steps]}"
            self._step()

    def _turn(self) -> None:
        signals = self._signals
        for slot, message in self._read:
            signals = [*signals, *self._understood(slot, message)]
        self._read, self._signals = [], []
        signals = sorted(signals or [Tick()], key=_moment)
        events: list[Event] = []
        orders: list[Order] = []
        for signal in signals:
            at = max(self._moment, min(_moment(signal), self.now))
            news, more = self.schedule.handle(signal, at)
            self.events += [(at, event) for event in news]
            self._moment = at if news or more else self._moment
            events, orders = events + news, orders + more
        orders += self.schedule.look_ahead()
        self._take(events, orders)

    def _take(self, events: list[Event], orders: list[Order]) -> None:
        self._pass(self.chance.uniform(0, TURN_S))  # others work meanwhile
        self.told_at += [(self.now, event) for event in events]
        for order in orders:
            self.orders.append((self.now, order))
            if isinstance(order, Launch):
                self._launch(order)
            elif isinstance(order, Follow | Recall):
                slot = self._busy.get((order.behind, order.attempt))
                if isinstance(order, Follow):
                    self._follow(slot, order)
                elif slot is not None:
                    self._send(slot, ("recall",))
            elif isinstance(order, Stop):
                slot = self._busy.get((order.step, order.attempt))
                if slot is not None and slot.believed is not None:
                    self._send(slot, ("stop", slot.believed[0], order.force))

    def _pass(self, seconds: float) -> None:
        until = self.now + seconds
        while self._happens and self._happens[0][0] <= until:
            self._step()
        self.now = until

    def _launch(self, order: Launch) -> None:
        if not self._idle:
            self._slots.append(Slot(len(self._slots)))
            self._idle.append(self._slots[-1])
        slot = self._idle.pop()
        slot.last += 1
        slot.believed = slot.last, order
        self._busy[order.step, order.attempt] = slot
        self._send(slot, ("run", slot.last, order))

    def _follow(self, slot: Slot | None, order: Follow) -> None:
        assert order.launches, "an empty order"
        if slot is None:
            self._signals.append(Returned(tuple(launch.step for launch in order.launches)))
            return
        numbered = list(enumerate(order.launches, slot.last + 1))
        self._send(slot, ("follow", slot.last, numbered))
        slot.sent += numbered
        slot.last = numbered[-1][0]

    def _understood(self, slot: Slot, message: tuple[object, ...] | None) -> Iterable[Signal]:
        if message is None:
            return self._lost(slot)
        if message[0] == "returned":
            return [self._take_back(slot, message[1])]  # type: ignore[arg-type]
        assert slot.believed is not None and slot.believed[0] == message[0], "the end of something else"
        end: Exited = message[1]  # type: ignore[assignment]
        del self._busy[end.step, end.attempt]
        slot.believed = slot.sent.popleft() if message[2] else None
        if slot.believed is None:
            self._idle.append(slot)
            return [end]
        launch = slot.believed[1]
        self._busy[launch.step, launch.attempt] = slot
        return [end._replace(follower=launch.step)]

    def _take_back(self, slot: Slot, numbers: list[int]) -> Returned:
        gone = tuple(launch.step for number, launch in slot.sent if number in numbers)
        slot.sent = deque(item for item in slot.sent if item[0] not in numbers)
        slot.last = slot.sent[-1][0] if slot.sent else slot.believed[0] if slot.believed else slot.last
        return Returned(gone)

    def _lost(self, slot: Slot) -> Iterable[Signal]:
        if slot in self._idle:
            self._idle.remove(slot)
        yield self._take_back(slot, [number for number, _ in slot.sent if number > slot.begun])
        if slot.believed is not None:
            del self._busy[slot.believed[1].step, slot.believed[1].attempt]
            gone = [slot.believed[1], *(launch for _, launch in slot.sent)]
            for launch, after in zip(gone, [*gone[1:], None], strict=True):
                yield Exited(launch.step, launch.attempt, problem="killed", follower=after.step if after else "")

    # --- a slot ---------------------------------------------------------------------------------------

    def _obey(self, slot: Slot, message: tuple[object, ...]) -> None:
        if slot.dead:
            return
        word = message[0]
        if word == "run":
            slot.number = message[1]  # type: ignore[assignment]
            self._begin(slot, message[1], message[2], "launch")  # type: ignore[arg-type]
        elif word == "follow" and (slot.work is None or message[1] != slot.number):
            slot.held.append(("returned", [number for number, _ in message[2]]))  # type: ignore[attr-defined]
            self._flush(slot)
        elif word == "follow":
            slot.queue += message[2]  # type: ignore[operator]
            slot.number = slot.queue[-1][0]
            self._look(slot)
        elif slot.work is not None:
            self._give_back(slot)
            if word == "stop" and slot.work.number == message[1]:
                obeys = self.acts(slot.work.launch.step, slot.work.launch.attempt).obeys
                if message[2] or obeys:
                    self._end(slot, slot.work, Exited(*slot.work.launch[:2], signal=15, stopped=True))

    def _begin(self, slot: Slot, number: int, launch: Launch, by: str) -> None:
        slot.work = work = Work(number, launch, self.now)
        self.begun.append(Begun(self.now, launch.step, launch.attempt, by, slot.id))
        self.working.add(launch.step)
        self.overlaps.append((self.now, frozenset(self.working)))
        acts = self.acts(launch.step, launch.attempt)
        self._at(self.now + acts.seconds, lambda: self._end(slot, work, Exited(*launch[:2], code=acts.code)))
        self._at(self.now + LONG_S, lambda: self._look(slot))

    def _look(self, slot: Slot) -> None:
        if slot.work is not None and slot.queue and self.now - slot.work.began >= LONG_S:
            self._give_back(slot)

    def _end(self, slot: Slot, work: Work, end: Exited) -> None:
        if slot.work is not work or slot.dead:
            return
        self._over(end.step, end.attempt, end.code == 0)
        follows = bool(slot.queue) and end.code == 0 and self.now - work.began < LONG_S
        slot.held.append((work.number, end._replace(at=self.now), follows))
        if not follows:
            self._give_back(slot)
            slot.work = None
            return
        number, launch = slot.queue.pop(0)
        slot.begun = number
        if len(slot.held) >= HOLD:
            self._flush(slot)
        else:
            self._at(self.now + HOLD_S, lambda: self._flush(slot))
        self._begin(slot, number, launch, "follow")

    def _over(self, id: str, attempt: int, well: bool) -> None:
        self.ended.append((self.now, id, attempt, well))
        self.working.discard(id)
        self.overlaps.append((self.now, frozenset(self.working)))

    def _give_back(self, slot: Slot) -> None:
        if slot.queue and slot.work is not None:
            slot.held.append(("returned", [number for number, _ in slot.queue]))
            slot.queue, slot.number = [], slot.work.number
        self._flush(slot)

    def _flush(self, slot: Slot) -> None:
        if slot.dead:
            return
        held, slot.held = slot.held, []
        for message in held:
            self._arrive(slot, message)

    def _kill(self) -> None:
        working = [slot for slot in self._slots if slot.work is not None and not slot.dead]
        if working:
            slot = self.chance.choice(working)
            assert slot.work is not None
            slot.dead = True
            self._over(slot.work.launch.step, slot.work.launch.attempt, False)
            self._arrive(slot, None)

    # --- time and messages --------------------------------------------------------------------------

    def _send(self, slot: Slot, message: tuple[object, ...]) -> None:
        slot.arrives_there = max(slot.arrives_there, self.now + self.chance.uniform(0, ON_THE_WAY_S))
        self._at(slot.arrives_there, lambda: self._obey(slot, message))

    def _arrive(self, slot: Slot, message: tuple[object, ...] | None) -> None:
        slot.arrives_here = max(slot.arrives_here, self.now + self.chance.uniform(0, ON_THE_WAY_S))
        self._at(slot.arrives_here, lambda: self._read.append((slot, message)))

    def _at(self, moment: float, act: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._happens, (moment, self._count, act))

    def _step(self) -> None:
        moment, _, act = heapq.heappop(self._happens)
        self.now = max(self.now, moment)
        act()

    # --- what became of it ----------------------------------------------------------------------------

    @property
    def ends(self) -> dict[str, StepFinished]:
        return {event.step: event for _, event in self.events if isinstance(event, StepFinished)}


def _moment(signal: Signal) -> float:
    at: float | None = getattr(signal, "at", None)
    return math.inf if at is None else at
