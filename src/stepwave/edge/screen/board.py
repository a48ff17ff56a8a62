"""The live board: what is going on in a run, redrawn in place on a terminal.

Rule 1: `see` only counts. Whatever costs time (reading logs, measuring, drawing) is done by `refresh`, for no more
        steps than are shown, and drawn only when it differs from what is on the screen.
Rule 2: nothing here raises, or holds up the run: a terminal that is gone mutes the board, one that is held (Ctrl-S)
        misses frames.
Rule 3: after `close` and `pause` the board is gone from the screen, the cursor is on, and keys are echoed again.
        While it is up they are not: an echoed Enter would move the cursor and leave pieces of old frames behind.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from stepwave.core.events import (
    BreakerOpened,
    Entry,
    Outcome,
    StepDecided,
    StepFinished,
    StepLeftProcesses,
    StepLogCut,
)
from stepwave.core.plan import Plan
from stepwave.core.telling.endings import decision_words, ending, mark
from stepwave.core.telling.progress import Progress
from stepwave.core.telling.style import Role, Span, Style, cells
from stepwave.core.text import plural, size_of
from stepwave.edge.screen.sight import Row, Sight, View
from stepwave.edge.screen.stream import silence

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

_NEWS_LIMIT = 500
"""So many permanent lines; further failures are counted, and told by the closing report."""
_ANSWERS_LIMIT = 50
"""So many answers of condition steps are permanent lines, too; further ones are in the table at the end."""
_NEWS_IN_SIGHT = 5
"""So many of the last permanent lines stay visible above a tall board."""
_GONE = (OSError, ValueError, SystemExit)
"""What a terminal that has gone away raises; Rich makes a SystemExit of a broken pipe."""


class Board:
    """A listener that keeps a board at the bottom of the terminal of `console`.

    `folder` is the run's: the last line of a running step's output is read from its logs there. `share` is the
    part of a processor that drawing may take: after a costly frame the next one is put off. `clock` counts seconds; it
    goes on between events.
    """

    refresh_s: float | None = 0.1

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        console: Console,
        style: Style,
        view: View = View.COMPACT,
        *,
        share: float = 0.04,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._numbers = Progress(plan)
        self._sight = Sight(self._numbers, folder, style, view)
        self._console = console
        self._style = style
        self._clock = clock
        self._origin = clock()
        self._news: list[Row] = []
        self._news_told = 0
        self._answers = 0
        self._live: Live | None = None
        self._echo: list[Any] | None = None
        self._drawn: tuple[list[Row], tuple[int, int]] = ([], (0, 0))
        self._off = False
        self._share = share
        self._resting_until = 0.0

    def see(self, entry: Entry) -> None:
        """Count the event; what it means for the screen is for `refresh` to show."""
        self._origin = self._clock() - entry.elapsed_s
        event = entry.event
        self._numbers.count(event, entry.elapsed_s)
        match event:
            case StepFinished(outcome=Outcome.FAILED | Outcome.TIMEOUT):
                self._announce(mark(event, self._style), event.step, ending(event, self._style))
            case StepLeftProcesses():
                names = ", ".join(self._style.word(name, 80) for name in event.processes[:3])
                count = "1 process" if len(event.processes) == 1 else f"{len(event.processes)} processes"
                self._announce((self._style.warn, Role.WARN), event.step, f"left {count} behind: {names}")
            case StepLogCut():
                size = size_of(event.dropped_bytes)
                self._announce(
                    (self._style.warn, Role.WARN), event.step, f"the first {size} of its output are not kept"
                )
            case StepDecided() if self._answers < _ANSWERS_LIMIT:
                self._answers += 1
                self._announce((self._style.arrow, Role.ACCENT), event.step, decision_words(event, self._style))
            case BreakerOpened():
                words = f"circuit breaker open after {plural(event.failures, 'failed attempt')}"
                self._announce((self._style.warn, Role.WARN), event.breaker, words)
            case _:
                pass

    def refresh(self) -> None:
        """Bring the screen up to date. Never raises for what the terminal does."""
        if self._off or self._clock() < self._resting_until:
            return
        began_s = time.thread_time()
        try:
            self._draw()
        except _GONE:
            self._mute()
        self._resting_until = self._clock() + (time.thread_time() - began_s) * (1 / self._share - 1)

    def pause(self) -> None:
        """Clear the board away and turn the cursor on, as before a stop; the next `refresh` brings it back."""
        if self._off:
            return
        try:
            self._clear()
        except _GONE:
            self._mute()

    def close(self) -> None:
        """Clear the board away for good; permanent lines stay."""
        self.pause()
        self._off = True

    # --- drawing

    def _announce(self, glyph: Span, step: str, words: str) -> None:
        """Have a permanent line printed above the board by the next refresh."""
        self._news_told += 1
        if self._news_told == _NEWS_LIMIT + 1:
            self._news.append([(f"{self._style.ellipsis} further failures are told at the end", Role.DIM)])
        elif self._news_told <= _NEWS_LIMIT:
            name = f"[{self._style.word(step, 80)}]"
            self._news.append([glyph, (f" {name} ", Role.STRONG), (words, None)])

    def _draw(self) -> None:
        width, height = self._measure()
        now = self._clock() - self._origin
        rows = self._sight.rows(now, width - 1, height - 2, min(self._news_told, _NEWS_IN_SIGHT))
        if (not self._news and self._drawn == (rows, (width, height))) or not self._takes():
            return
        with self._console:  # one write: a frame is seen whole or not at all
            live = self._started()
            self._mend(width)
            if self._news:
                self._console.print(text_of(self._news, self._style), soft_wrap=True)
                self._news = []
            live.update(text_of(rows, self._style), refresh=True)
        self._drawn = (rows, (width, height))

    def _started(self) -> Live:
        if self._live is None:
            from rich.live import Live

            self._live = Live(
                console=self._console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
            self._echo = _without_echo(self._console.file)
        return self._live

    def _clear(self) -> None:
        if self._news:
            self._draw()
        live, self._live = self._live, None
        self._restore_echo()
        if live is not None:
            with self._console:
                self._mend(self._measure()[0])
                live.update("")
                live.stop()
        self._drawn = ([], (0, 0))

    def _mend(self, width: int) -> None:
        """After the terminal got narrower: erase the rows that its re-wrapping has made of the old frame.

        Rich goes up one row for each line it has drawn, and would leave the rest behind.
        """
        rows, (old, _) = self._drawn
        if not rows or width >= old:
            return
        from rich.control import Control
        from rich.segment import ControlType

        lengths = (sum(cells(text) for text, _ in row) for row in rows)
        extra = sum(max(-(-length // width), 1) for length in lengths) - len(rows)
        step = ((ControlType.ERASE_IN_LINE, 2), (ControlType.CURSOR_UP, 1))
        self._console.control(Control(ControlType.CARRIAGE_RETURN, *(step * extra)))

    def _measure(self) -> tuple[int, int]:
        """Columns and rows, asked of the console's own terminal each time: COLUMNS would hide a resize."""
        try:
            width, height = os.get_terminal_size(self._console.file.fileno())
        except (OSError, ValueError):
            width = height = 0
        if width > 0 and height > 0:
            self._console.size = (width, height)
        return self._console.size

    def _takes(self) -> bool:
        """Whether the terminal can be written to without waiting for it."""
        try:
            poller = select.poll()
            poller.register(self._console.file.fileno(), select.POLLOUT)
            return bool(poller.poll(0))
        except (OSError, ValueError, AttributeError):
            return True

    def _restore_echo(self) -> None:
        modes, self._echo = self._echo, None
        if modes is not None:
            _set_modes(self._console.file.fileno(), modes)

    def _mute(self) -> None:
        """Give the board up. The cursor is asked back without Python's buffers, which a dead terminal has filled."""
        self._off = True
        try:
            fd = self._console.file.fileno()
        except (OSError, ValueError):
            return
        try:
            self._restore_echo()
            os.write(fd, b"\x1b[?25h")
        except OSError:
            silence(fd)


def text_of(rows: list[Row], style: Style) -> Text:
    """Rows as one Rich text: never markup, whatever a name looks like."""
    from rich.text import Text

    text = Text(no_wrap=True, overflow="crop")
    for number, row in enumerate(rows):
        text.append("\n" * bool(number))
        for words, role in row:
            text.append(words, _rich[role] if style.color and role else None)
    return text


_rich = {
    Role.OK: "green",
    Role.FAIL: "red",
    Role.WARN: "yellow",
    Role.ACCENT: "cyan",
    Role.STRONG: "bold",
    Role.DIM: "dim",
}


def _without_echo(stream: IO[str]) -> list[Any] | None:
    """Turn the terminal's echo off. Its modes from before, or None where that cannot (or need not) be done."""
    try:
        import termios
    except ImportError:  # not a Unix
        return None
    try:
        modes = termios.tcgetattr(stream.fileno())
    except (OSError, ValueError, termios.error):
        return None
    silent = [*modes[:3], modes[3] & ~termios.ECHO, *modes[4:]]
    return modes if modes[3] & termios.ECHO and _set_modes(stream.fileno(), silent) else None


def _set_modes(fd: int, modes: list[Any]) -> bool:
    """Whether it was done: a process in the background would be stopped (SIGTTOU) for trying."""
    import termios

    try:
        if os.tcgetpgrp(fd) != os.getpgrp():
            return False
        termios.tcsetattr(fd, termios.TCSANOW, modes)
    except (OSError, termios.error):
        return False
    return True
