"""The one loop: signals in through the inbox, through the schedule, events to the listeners, orders to the launcher.

Single-threaded. It sleeps in one poll(2) over everything that can happen: a supervisor's socket, a signal of the
operating system, the next alarm of the schedule, the next redraw of a board. Nothing polls on a timer.
"""

import math
import select
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import Protocol

from stepwave.core.events import Entry, Event, Follow, Launch, Order, Recall, Resumed, Signal, StepFinished, Tick
from stepwave.core.running.schedule import Schedule

LONGEST_S = 86_400.0
"""Waiting is cut into days: poll(2) counts milliseconds in 32 bits, which is less than a month."""


class Listener(Protocol):
    """Is told every event, in order, before the orders that it announces are obeyed. Nobody answers.

    `refresh_s`: how often, in seconds, `refresh` is to be called while nothing happens; None: never.
    """

    refresh_s: float | None

    def see(self, entry: Entry) -> None: ...

    def refresh(self) -> None: ...

    def pause(self) -> None:
        """The process is about to be stopped (Ctrl-Z): leave the terminal as it was found."""

    def close(self) -> None: ...


class Settling(Listener, Protocol):
    """A listener that keeps what it is told for a moment."""

    def settle(self) -> None:
        """What has been told is to be on disk now: an order that hangs on it is obeyed next."""


class Launcher(Protocol):
    """Obeys orders, and answers each `Launch` with exactly one `Exited` through the inbox.

    `obey` never blocks. A `Stop` for an attempt that has ended is ignored. `close` kills and reaps everything.
    """

    def obey(self, order: Order) -> None: ...

    def close(self) -> None: ...


class ListenerFailed(Exception):  # noqa: N818 - says what happened
    """A listener that the run cannot do without has failed. The cause is chained."""


class Inbox:
    """Where everything comes in. Whoever watches a descriptor gives a function that reads the signals behind it."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._readers: dict[int, Callable[[], Iterable[Signal]]] = {}
        self._ready: list[Signal] = []

    def watch(self, fd: int, read: Callable[[], Iterable[Signal]]) -> None:
        self._readers[fd] = read
        self._poll.register(fd, select.POLLIN)

    def unwatch(self, fd: int) -> None:
        if self._readers.pop(fd, None):
            self._poll.unregister(fd)

    def put(self, signal: Signal) -> None:
        """Something that is already known; the next `wait` returns at once."""
        self._ready.append(signal)

    def wait(self, timeout_s: float | None) -> list[Signal]:
        """What has happened; empty when the time is up. None: wait for as long as it takes."""
        if self._ready:
            timeout_s = 0.0
        # Rounded up: waking a fraction of a millisecond early would spin until the alarm is due.
        timeout_ms = None if timeout_s is None else math.ceil(min(max(timeout_s, 0.0), LONGEST_S) * 1000)
        happened, self._ready = self._ready, []
        for fd, _ in self._poll.poll(timeout_ms):
            read = self._readers.get(fd)
            if read is not None:  # an earlier reader of this round may have taken it away
                happened.extend(read())
        return happened


class Spine:
    """Stamps events and carries them to the listeners.

    The first failure of a `courtesy` listener mutes it and is told to `complain`; that of a `required` one raises
    ListenerFailed. `settle` reaches those that can, the required ones first. `mask` takes the secrets out of an event
    before anybody sees it.
    """

    def __init__(
        self,
        run: str,
        required: Sequence[Listener],
        courtesy: Sequence[Listener],
        complain: Callable[[str], None],
        mask: Callable[[Event], Event] | None = None,
    ) -> None:
        self._mask = mask
        self._run = run
        self._seq = 0
        self._required = tuple(required)
        self._courtesy = tuple(courtesy)
        self._all = (*required, *courtesy)
        self._settling: list[Settling] = [x for x in required if hasattr(x, "settle")]  # type: ignore[misc]
        self._settling_too: list[Settling] = [x for x in courtesy if hasattr(x, "settle")]  # type: ignore[misc]
        self._complain = complain
        self._began = time.monotonic()
        self._began_at = time.time()

    def tell(self, events: Iterable[Event], moment: float | None = None) -> None:
        """What happened at one moment, on the scale of time.monotonic(); None: now."""
        elapsed_s = (time.monotonic() if moment is None else max(moment, self._began)) - self._began
        at = self._began_at + elapsed_s
        for event in events if self._mask is None else map(self._mask, events):
            self._seq += 1
            entry = Entry(self._seq, at, elapsed_s, self._run, event)
            for listener in self._required:
                try:
                    listener.see(entry)
                except Exception as problem:
                    raise ListenerFailed(f"{type(listener).__name__}: {problem}") from problem
            for listener in self._courtesy:
                try:
                    listener.see(entry)
                except Exception as problem:
                    self._mute(listener, problem)

    def settle(self) -> None:
        """Nothing of what has been told is kept in memory alone."""
        for settling in self._settling:
            try:
                settling.settle()
            except Exception as problem:
                raise ListenerFailed(f"{type(settling).__name__}: {problem}") from problem
        for settling in self._settling_too:
            self._spare(settling, settling.settle)

    def _mute(self, listener: Listener, problem: Exception) -> None:
        self._courtesy = tuple(other for other in self._courtesy if other is not listener)
        self._settling_too = [other for other in self._settling_too if other is not listener]
        self._complain(f"{type(listener).__name__.lower()} is silent from here on: {problem}")

    def _spare(self, listener: Listener, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as problem:
            self._mute(listener, problem)

    @property
    def refresh_s(self) -> float | None:
        wishes = [x.refresh_s for x in (*self._required, *self._courtesy) if x.refresh_s is not None]
        return min(wishes, default=None)

    def refresh(self) -> None:
        for listener in self._courtesy:
            if listener.refresh_s is not None:
                self._spare(listener, listener.refresh)

    def pause(self) -> None:
        for listener in self._courtesy:
            self._spare(listener, listener.pause)

    def close(self) -> None:
        """Every listener is closed, the muted ones too, whatever the others do."""
        with ExitStack() as closing:
            for listener in self._all:
                closing.callback(listener.close)


SETTLE_S = 0.005
"""What has been told is on disk after this at the latest. As many short steps as end meanwhile share a commit."""


def drive(schedule: Schedule, launcher: Launcher, inbox: Inbox, spine: Spine) -> None:
    """Run the schedule to its end. Raises ListenerFailed; whoever calls closes the launcher whatever happens.

    A step starts once the end of all that it needs is on disk. One whose needs have ended before is launched first of
    all, and what is told of the turn is written down while it starts.
    """
    refresh_s = spine.refresh_s
    next_refresh = 0.0
    settle_at: float | None = None
    unsettled: set[str] = set()  # steps whose end is not on disk yet
    moment = now = time.monotonic()
    events, bound = schedule.begin(moment)
    spine.tell(events, moment)
    spine.settle()  # that there is a run is known before anything of it happens
    for order in bound:
        launcher.obey(order)
    while not schedule.done:
        if refresh_s is not None and now >= next_refresh:
            spine.refresh()
            next_refresh = now + refresh_s
        signals = inbox.wait(_pause(now, schedule.next_alarm, next_refresh if refresh_s else None, settle_at))
        told, orders, moment = _handled(schedule, signals or [Tick()], moment)
        unsettled.update([event.step for _, events in told for event in events if type(event) is StepFinished])
        bound = []
        for order in orders:
            if _is_free(order, unsettled) and not _is_behind(order, bound):
                launcher.obey(order)
            else:
                bound.append(order)
        for at, events in told:
            spine.tell(events, at)
        now = time.monotonic()
        if told and settle_at is None:
            settle_at = now + SETTLE_S
        if bound or schedule.done or (settle_at is not None and now >= settle_at):
            spine.settle()
            settle_at = None
            unsettled.clear()
        for order in bound:
            launcher.obey(order)


def _handled(
    schedule: Schedule, signals: Sequence[Signal], moment: float
) -> tuple[list[tuple[float, list[Event]]], list[Order], float]:
    """What the signals of a turn bring: events with the moment when they happened, orders, and the last such moment.

    Several may have waited to be read. Whoever knows when a thing happened says so; time never goes backwards, though.
    `moment`: the last one of the turn before.
    """
    told: list[tuple[float, list[Event]]] = []
    orders: list[Order] = []
    now = time.monotonic()
    if len(signals) > 1 and not any(type(signal) is Resumed for signal in signals):  # which moves the clock
        signals = sorted(signals, key=_moment)
    for signal in signals:
        at = max(moment, min(_moment(signal), now))
        events, more = schedule.handle(signal, at)
        if events:
            told.append((at, events))
        if events or more:  # else nobody knows of it, and an end that is reported later may have been before
            moment = at
        orders += more
    return told, orders + schedule.look_ahead(), moment


def _moment(signal: Signal) -> float:
    """When it happened; one that does not say so has happened just now, after all that do."""
    at: float | None = getattr(signal, "at", None)
    return math.inf if at is None else at


def _is_free(order: Order, unsettled: set[str]) -> bool:
    """Whether nothing has to be on disk before it is obeyed that is not there yet."""
    if type(order) is Launch:
        return order.after is not None and unsettled.isdisjoint(order.after)
    if type(order) is Follow:
        return all(_is_free(launch, unsettled) for launch in order.launches)
    return type(order) is Recall


def _is_behind(order: Order, bound: Sequence[Order]) -> bool:
    """Whether it is about one that is only going to be launched."""
    behind = order.behind if type(order) is Follow else ""
    return bool(behind) and any(type(other) is Launch and other.step == behind for other in bound)


def _pause(now: float, *alarms: float | None) -> float | None:
    due = [at for at in alarms if at is not None]
    return min(due) - now if due else None
