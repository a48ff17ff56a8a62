"""What ready steps wait for, moment by moment: all slots taken, a pool that lacks units, or another limit.

It is `core.running.admission` looked at from the outside, with its rules in its order. What it charges adds up: at
every moment of its wait a step waits for exactly one thing.

Rule 1  Within a turn nothing waits: all that is told of one moment is noted before time passes.
Rule 2  First come the reasons that hold for everybody (slots, a step that runs alone, the rate). While there is none,
        each kind of step has its own, looked at anew only when something has changed: as often as the admission did.
Rule 3  Where nothing lacks and a step waits all the same, it waits for one before it in the line: what that one waits
        for is kept for it. While one is known to wait for memory, which nobody else records, it is memory.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from stepwave.core.telling.story import ALONE, MEMORY, RATE, WAVE, Cause, Wait

MOST_WAITS = 200
"""Of a step, at one time. One whose reason changes more often gets the sum of each, one after the other."""

Key = tuple[Cause, str]

_noticed_s = 0.005
"""Within this time the runner notices that a gap between two starts is over."""

_rounding_s = 1e-9
"""What is left of a difference of sums may be less than that without having been any time."""

_slot: Key = (Cause.SLOT, "")
_alone: Key = (Cause.LIMIT, ALONE)
_rate: Key = (Cause.LIMIT, RATE)
_wave: Key = (Cause.LIMIT, WAVE)
_memory: Key = (Cause.LIMIT, MEMORY)


class Ask(NamedTuple):
    """What a step needs in order to start. `wave` None: no step of its wave has a limit."""

    units: tuple[tuple[str, int], ...]
    exclusive: bool
    wave: int | None
    wave_limit: int | None


class Reasons:
    """The reasons of somebody, one after the other: (from when on, which), and how many seconds each has held."""

    def __init__(self) -> None:
        self.log: list[tuple[float, Key | None]] = []
        self.totals: dict[Key | None, float] = {}
        self._clock_s = 0.0

    def note(self, at: float, key: Key | None, clock_s: float) -> None:
        """From `at` on it is this one. `clock_s` is what the seconds are counted by."""
        if self.log and self.log[-1][1] == key:
            return
        self.count(clock_s)
        self.log.append((at, key))

    def count(self, clock_s: float) -> None:
        """Bring the totals up to this moment."""
        if self.log:
            key = self.log[-1][1]
            self.totals[key] = self.totals.get(key, 0.0) + clock_s - self._clock_s
        self._clock_s = clock_s


class Place(NamedTuple):
    """Where a step began to wait: the moment, and how far both kinds of reasons had come then."""

    at: float
    common: int
    own: int
    common_totals: Mapping[Key | None, float]
    own_totals: Mapping[Key | None, float]


class Charging:
    """Note what starts and ends; `pass_time` before anything of another moment is noted."""

    def __init__(
        self, capacity: int, pools: Mapping[str, int], rate_limit_s: float = 0.0, blamed: Key = (Cause.SLOT, "")
    ) -> None:
        self.capacity = capacity
        self._blamed = blamed  # where nothing is seen that would hold a step up
        self.now = 0.0
        self._free = dict(pools)
        self._gap_s = rate_limit_s
        self._rate_until = 0.0
        self._running: dict[str, Ask] = {}
        self._alone = 0
        self._mates: dict[int, list[int | None]] = {}
        self._common = Reasons()
        self._own: dict[Ask, Reasons] = {}
        self._waiting: dict[Ask, int] = {}
        self._places: dict[str, tuple[Ask, Place]] = {}
        self._short: set[str] = set()
        self._free_s = 0.0  # how long nothing has held for everybody
        self._changed = True

    # --- what happens -------------------------------------------------------------------------------

    def pass_time(self, now: float) -> None:
        if self._places and self.now < self._rate_until < now - _noticed_s:
            self._pass(self._rate_until)
        self._pass(now)

    def _pass(self, now: float) -> None:
        before, self.now = self.now, max(now, self.now)
        if not self._places or now <= before:
            return
        key = self._common_reason(before)
        self._common.note(before, key, before)
        if key is not None:
            return
        if self._changed:
            self._changed = False
            self._look(before)
        self._free_s += now - before

    def start(self, id: str, ask: Ask, *, launched: bool) -> None:
        """An attempt holds what it asked for. `launched`: it is a process, which the rate limit counts."""
        self._running[id] = ask
        self._alone += ask.exclusive
        for pool, units in ask.units:
            self._free[pool] = self._free.get(pool, 0) - units
        if ask.wave is not None:
            self._mates.setdefault(ask.wave, []).append(ask.wave_limit)
        if launched and self._gap_s:
            self._rate_until = self.now + self._gap_s
        self._changed = True

    def end(self, id: str) -> None:
        """It has given back what it held."""
        ask = self._running.pop(id)
        self._alone -= ask.exclusive
        for pool, units in ask.units:
            self._free[pool] += units
        if ask.wave is not None:
            self._mates[ask.wave].remove(ask.wave_limit)
        self._changed = True

    def note_short(self, id: str) -> None:
        """It lacks nothing but memory."""
        self._short.add(id)
        self._changed = True

    def keep(self, pool: str, units: int) -> None:
        """Somebody waits for units that are not the run's own: what it asks for is its own share already, and it waits
        for nothing here. Negative units: it waits no more."""
        if pool in self._free:
            self._free[pool] -= units
            self._changed = True

    def join(self, id: str, ask: Ask) -> None:
        """The step is ready, and waits from now on."""
        own = self._own.setdefault(ask, Reasons())
        self._common.count(self.now)
        own.count(self._free_s)
        place = Place(
            at=self.now,
            common=max(len(self._common.log) - 1, 0),
            own=max(len(own.log) - 1, 0),
            common_totals=dict(self._common.totals),
            own_totals=dict(own.totals),
        )
        self._places[id] = ask, place
        self._waiting[ask] = self._waiting.get(ask, 0) + 1
        self._changed = True

    def leave(self, id: str, before: Key | None) -> list[Wait]:
        """It waits no longer: what it has waited for. `before` is what it waited for until it was ready."""
        ask, place = self._places.pop(id)
        self._short.discard(id)
        self._waiting[ask] -= 1
        if not self._waiting[ask]:
            del self._waiting[ask]
        self._changed = True
        own = self._own[ask]
        if len(self._common.log) - place.common + len(own.log) - place.own <= MOST_WAITS:
            spans = self._spans(place, own)
        else:
            spans = self._sums(place, own)
        return _waits(spans, before or self._blamed)

    # --- why ----------------------------------------------------------------------------------------

    def _common_reason(self, now: float) -> Key | None:
        if len(self._running) >= self.capacity:
            return _slot
        if self._alone:
            return _alone
        return _rate if now < self._rate_until else None

    def _look(self, now: float) -> None:
        """The reasons of all kinds of steps that wait, while none holds for everybody."""
        found = {ask: self._reason(ask) for ask in self._waiting}
        kept = {pool for ask, key in found.items() if key is not None for pool, _ in ask.units}
        last = next((key for key in found.values() if key in (_alone, _wave)), None)
        short = {self._places[id][0] for id in self._short}
        for ask, key in found.items():
            behind = next(((Cause.POOL, pool) for pool, _ in ask.units if pool in kept), last)
            if ask in short or (behind is None and short):
                behind = _memory
            self._own[ask].note(now, key or behind, self._free_s)

    def _reason(self, ask: Ask) -> Key | None:
        if ask.exclusive and self._running:
            return _alone
        for pool, units in ask.units:
            if units > self._free.get(pool, units):
                return Cause.POOL, pool
        mates = self._mates.get(ask.wave, ()) if ask.wave is not None else ()
        limits = [limit for limit in (*mates, ask.wave_limit) if limit is not None]
        return _wave if limits and len(mates) >= min(limits) else None

    # --- adding up ----------------------------------------------------------------------------------

    def _spans(self, place: Place, own: Reasons) -> Iterator[tuple[float, float, Key | None]]:
        for begin, end, key in _between(self._common.log, place.common, place.at, self.now):
            if key is not None:
                yield begin, end, key
            else:
                yield from _between(own.log, place.own, begin, end)

    def _sums(self, place: Place, own: Reasons) -> Iterator[tuple[float, float, Key | None]]:
        """The same seconds for each reason, without the order."""
        self._common.count(self.now)
        own.count(self._free_s)
        seconds: dict[Key | None, float] = {}
        for key, total_s in self._common.totals.items():
            if key is not None:
                seconds[key] = total_s - place.common_totals.get(key, 0.0)
        for key, total_s in own.totals.items():
            seconds[key] = seconds.get(key, 0.0) + total_s - place.own_totals.get(key, 0.0)
        begin = place.at
        held = [(key, held_s) for key, held_s in seconds.items() if held_s > _rounding_s]
        held = held or [(key, held_s) for key, held_s in seconds.items() if held_s > 0]
        for n, (key, held_s) in enumerate(held, 1):
            end = self.now if n == len(held) else min(begin + held_s, self.now)
            yield begin, end, key
            begin = end


def _moment(entry: tuple[float, Key | None]) -> float:
    return entry[0]


def _between(
    log: list[tuple[float, Key | None]], first: int, begin: float, end: float
) -> Iterator[tuple[float, float, Key | None]]:
    """The reasons from `begin` to `end`; none before the log begins."""
    at = begin
    for n in range(max(bisect_right(log, at, first, key=_moment) - 1, first), len(log)):
        until = min(log[n + 1][0], end) if n + 1 < len(log) else end
        if until > at:
            yield at, until, log[n][1]
            at = until
        if at >= end:
            return
    if at < end:
        yield at, end, None


def _waits(spans: Iterator[tuple[float, float, Key | None]], last: Key) -> list[Wait]:
    """As waits: those of one reason that follow each other are one. A moment for which nothing is to blame goes to what
    came last before it: the runner takes time, too."""
    found: list[Wait] = []
    for begin, end, key in spans:
        last = key or last
        if found and found[-1][2:] == last:
            found[-1] = found[-1]._replace(end_s=end)
        elif end > begin:
            found.append(Wait(begin, end, *last))
    return found
