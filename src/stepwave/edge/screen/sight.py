"""What is on the board: rows made of the numbers of a run, in the room that the terminal has.

Two views share a head. `FULL` shows every wave that something happens in, with its running, retried and failed steps;
waves that are through, or have not begun, share a row. `COMPACT` shows running steps only, each in the row of its slot,
so that rows stay where they are. Where the waves do not have room they are shown compactly.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from stepwave.core.events import LeaseAwaited, StepRetrying
from stepwave.core.model import Stage
from stepwave.core.telling.progress import Gathering, Progress, Running, Wave, together
from stepwave.core.telling.style import Role, Span, Style, cells, fit, last_line, pad, pad_left
from stepwave.core.telling.wording import STAGE_NAMES
from stepwave.core.text import duration
from stepwave.edge.screen.logs import end_of

Row = list[Span]

MANY_WAVES = 1000
_POOLS_IN_SIGHT = 10
_TAIL_BYTES = 4096


class View(Enum):
    FULL = "full"
    COMPACT = "compact"


class Sight:
    """`folder` is the run's: the last line of a running step's output is read from its log there."""

    def __init__(self, numbers: Progress, folder: Path, style: Style, view: View) -> None:
        self._numbers = numbers
        self._folder = folder
        self._style = style
        self._view = view
        self._id_width = 0

    def rows(self, now: float, width: int, height: int, above: int) -> list[Row]:
        """The whole board in at most `height` rows (one, where there is no room) of at most `width` cells.

        `above` permanent lines are to stay in sight.
        """
        head = [self._title(now), self._progress(now, width), self._figures()]
        if above and height > 8:
            head.insert(0, [])  # sets the board off from the permanent lines above it
        room = max(height - above, min(height, len(head) + 1)) - len(head)
        rows = [*head, *self._below(now, width, room)] if room > 0 else head[1 : 1 + max(height, 1)]
        return [fit(row, width, self._style) for row in rows]

    def _below(self, now: float, width: int, room: int) -> list[Row]:
        """By wave where that has room, and says more than one heading would; the waves are counted at every look."""
        if self._view is View.FULL and 1 < len(self._numbers.waves) <= MANY_WAVES:
            rows = self._waves(now, width)
            if len(rows) <= room:
                return rows
        return self._steps(now, width, room)

    # --- head

    def _title(self, now: float) -> Row:
        row: Row = [(f"{self._style.spin} ", Role.ACCENT), (self._style.word(self._numbers.name, 80), Role.STRONG)]
        row.append((f"  {_whole(now)}", Role.DIM))
        if self._numbers.stage is not Stage.MAIN:
            row.append((f"  {STAGE_NAMES[self._numbers.stage]}", Role.ACCENT))
        if self._numbers.stopping:
            row.append((f"  stopping: {self._style.word(self._numbers.stopping)}", Role.WARN))
        return row

    def _progress(self, now: float, width: int) -> Row:
        numbers = self._numbers
        left_s = numbers.left_s(now)
        words = f" {numbers.done}/{numbers.total}  {100 * numbers.done // max(numbers.total, 1)}%"
        words += f"  ETA ~{_whole(max(left_s, 1.0))}" if left_s is not None else ""
        size = max(min(40, width - 2 - len(words)), 0)
        full = size * numbers.done // max(numbers.total, 1)
        role = Role.FAIL if numbers.failed else Role.OK
        bar = [(self._style.bar_full * full, role), (self._style.bar_empty * (size - full), Role.DIM)]
        return [("  ", None), *bar, (words, None)]

    def _figures(self) -> Row:
        numbers = self._numbers
        narrow = f" ({self._style.word(numbers.narrowed, 60)})" if numbers.narrowed else ""
        figures: list[Span] = [(f"running {len(numbers.running)}/{numbers.slots}{narrow}", None)]
        figures.append((f"wave {numbers.wave()}/{len(numbers.waves)}", None))
        figures += [(f"{numbers.waiting} waiting{self._short()}", None)] * bool(numbers.waiting)
        figures += [(f"{numbers.failed} failed", Role.FAIL)] * bool(numbers.failed)
        figures += [(f"{numbers.tolerated} tolerated", Role.WARN)] * bool(numbers.tolerated)
        figures += [(f"{numbers.skipped} skipped", Role.DIM)] * bool(numbers.skipped)
        pools = list(numbers.pools.items())[:_POOLS_IN_SIGHT]
        figures += [(f"{self._style.word(pool, 20)} {numbers.held.get(pool, 0)}/{n}", None) for pool, n in pools]
        between: Span = (f" {self._style.dot} ", Role.DIM)
        return [("  ", None), *(span for figure in figures for span in (figure, between))][:-1]

    def _short(self) -> str:
        """Who waits for memory, or for what is not the run's own."""
        short = list(self._numbers.short.values())
        if not short:
            return ""
        lacks = short[0].pools[0] if isinstance(short[0], LeaseAwaited) else "memory"
        more = f" +{len(short) - 1}" if len(short) > 1 else ""
        return f" ({self._style.word(lacks, 20)}: {self._style.word(short[0].step, 20)}{more})"

    # --- full: by wave

    def _waves(self, now: float, width: int) -> list[Row]:
        """The waves in order; those in which nothing happens share a row with their neighbors of the same kind."""
        waves, busy = self._numbers.waves, self._busy(now, width)
        busy.setdefault(self._numbers.wave() - 1, [])
        rows: list[Row] = []
        begin = 0
        for number in sorted(busy):
            rows += self._quiet(begin, number)
            rows.append(self._wave(number, number + 1, waves[number], len(busy[number])))
            rows += [[("  ", None), *row] for row in busy[number]]
            begin = number + 1
        return rows + self._quiet(begin, len(waves))

    def _quiet(self, begin: int, end: int) -> list[Row]:
        """Waves in which nothing happens, from the one to before the other: those that are through, then the others."""
        waves = self._numbers.waves
        split = next((number for number in range(begin, end) if waves[number].left > 0), end)
        parts = [part for part in ((begin, split), (split, end)) if part[0] < part[1]]
        return [self._wave(*part, together(waves[slice(*part)])) for part in parts]

    def _wave(self, begin: int, end: int, wave: Wave, shown: int = 0) -> Row:
        """A row for one wave, or for several that stand together. `shown` of its steps have rows of their own."""
        style = self._style
        which = f"wave {end}" if end == begin + 1 else f"waves {begin + 1}-{end}"
        row: Row = [(f"  {pad(which, 4 + 2 * len(str(len(self._numbers.waves))) + 2)}", None if shown else Role.DIM)]
        row += [(f"  {style.ok} {wave.passed}", Role.OK)] * bool(wave.passed)
        row += [(f"  {style.fail} {wave.failed}", Role.FAIL)] * bool(wave.failed)
        row += [(f"  {style.skip} {wave.skipped}", Role.DIM)] * bool(wave.skipped)
        row += [(f"  {style.arrow} {shown}", Role.ACCENT)] * bool(shown)
        waiting = max(wave.left - shown, 0)
        return row + [(f"  {waiting} waiting", Role.DIM)] * bool(waiting)

    def _busy(self, now: float, width: int) -> dict[int, list[Row]]:
        """The waves that something happens in, with a row for each such step."""
        numbers, found = self._numbers, dict[int, list[Row]]()
        for step, whole in numbers.gathering.items():
            found.setdefault(numbers.wave_of(step), []).append(self._whole_of(step, whole, now))
        in_slots = sorted(numbers.running.items(), key=lambda item: item[1].slot)
        for step, running in self._widened(in_slots, width):
            found.setdefault(numbers.wave_of(step), []).append(self._step(step, running, now))
        for step, retry in numbers.retrying.items():
            found.setdefault(numbers.wave_of(step), []).append(self._retry(step, retry, now))
        return found

    # --- compact: by slot

    def _steps(self, now: float, width: int, room: int) -> list[Row]:
        """Running steps, each in the row of its slot where all have room, so that rows stay where they are."""
        numbers, retrying = self._numbers, list(self._numbers.retrying.items())[:3]
        in_slots = sorted(numbers.running.items(), key=lambda item: item[1].slot)
        wholes = [self._whole_of(*item, now) for item in list(numbers.gathering.items())[:3]]
        if numbers.slots_used + len(retrying) + len(wholes) <= room:
            rows: list[Row] = [[] for _ in range(numbers.slots_used)]
            for step, running in self._widened(in_slots, width):
                rows[running.slot] = self._step(step, running, now)
            return wholes + rows + [self._retry(*item, now) for item in retrying]
        hidden = max(len(in_slots) + len(retrying) - room, 0)
        shown = in_slots[: max(room - bool(hidden), 0)]
        rows = [self._step(*item, now) for item in self._widened(shown, width)]
        rows += [self._retry(*item, now) for item in retrying][: max(room - bool(hidden) - len(rows), 0)]
        count = len(in_slots) - len(shown)
        return [*rows, [(f"  {self._style.ellipsis} {count} more running", Role.DIM)]] if hidden else rows

    def _widened(self, shown: list[tuple[str, Running]], width: int) -> list[tuple[str, Running]]:
        """The same steps, once their column is wide enough for them; it never gets narrower again."""
        needed = max((cells(self._style.word(step, 80)) for step, _ in shown), default=0)
        self._id_width = min(max(self._id_width, needed), max(width // 3, 8))
        return shown

    def _step(self, step: str, running: Running, now: float) -> Row:
        name = pad(self._style.word(step, self._id_width), self._id_width)
        row: Row = [(f"  {self._style.arrow} ", Role.ACCENT), (name, None)]
        row.append((pad_left(_whole(now - running.since_s), 8), Role.DIM))
        if running.attempt > 1:
            row.append((f"  attempt {running.attempt}", Role.WARN))
        if running.stopping:
            return [*row, (f"  stopping: {self._style.word(running.stopping)}", Role.WARN)]
        if running.tested:
            row.append((f"  {running.tested}/{self._numbers.tests_of(step)} tests", Role.ACCENT))
        return [*row, (f"  {self._last_words(running)}", Role.DIM)]

    def _whole_of(self, step: str, whole: Gathering, now: float) -> Row:
        """A `forEach`, above the steps that it has become."""
        words = f"  {whole.done}/{whole.parts} steps  {_whole(now - whole.since_s)}"
        return [(f"  {self._style.spin} ", Role.ACCENT), (self._style.word(step, 40), None), (words, Role.DIM)]

    def _retry(self, step: str, retry: tuple[float, StepRetrying], now: float) -> Row:
        until_s, event = retry
        words = f"  again in {_whole(max(until_s - now, 0.0))}: {self._style.word(event.reason)}"
        return [(f"  {self._style.retry} ", Role.WARN), (self._style.word(step, 40), None), (words, Role.DIM)]

    def _last_words(self, running: Running) -> str:
        """The last line of the step's output, from its log's end; read again only when the log has changed."""
        if not running.log:
            return ""
        path = self._folder / running.log
        if (stamp := _stamp(path)) != running.stamp:
            running.stamp = stamp
            running.said = self._style.word(last_line(end_of(path, _TAIL_BYTES)[1]))
        return running.said


def _whole(seconds: float) -> str:
    """A running clock: no fractions, which would never stand still."""
    return f"{int(max(seconds, 0.0))}s" if seconds < 60 else duration(int(seconds))


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return (-1,)
    return status.st_size, status.st_mtime_ns
