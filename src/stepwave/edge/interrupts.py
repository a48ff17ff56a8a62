"""Signals of the operating system as signals of the run: everything comes in through the one inbox.

The handlers do next to nothing; the C-level wake-up descriptor (signal.set_wakeup_fd) carries the number to the inbox,
so no handler ever interrupts the program between two lines. SIGHUP is left alone when it was ignored at the start
(nohup).
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

from stepwave.core.events import Interrupted, Resumed, Signal
from stepwave.engine import Inbox

_ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """While entered: INT, TERM and HUP become `Interrupted`; TSTP does what is to be done `before`, stops this process
    and, once it is continued, does what is to be done `after` and becomes `Resumed`.

    Both lists may still grow. It is entered before everything that it speaks of and left after it, so that a late
    Ctrl-C does not cut short what puts things in order. Outside the main thread Python lets nobody install handlers:
    then nothing is done, and the program around decides.
    """

    def __init__(self, inbox: Inbox, before: Sequence[Callable[[], None]], after: Sequence[Callable[[], None]]) -> None:
        self._inbox = inbox
        self._before_pause = before
        self._after_pause = after
        self._before: dict[int, Any] = {}
        self._reader = self._writer = -1
        self._wakeup_before = -1
        self._mask: set[signal.Signals | int] = set()
        self.last: int | None = None
        """The last one of those that end a run that has come, whether or not the run has heard of it."""

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self
        self._reader, self._writer = os.pipe()
        for fd in (self._reader, self._writer):
            os.set_blocking(fd, False)
        self._wakeup_before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in (*_ending, signal.SIGTSTP):
            if number != signal.SIGINT and signal.getsignal(number) is signal.SIG_IGN:
                continue
            self._before[number] = signal.signal(number, self._remember)
        # Whoever started us may have had them blocked, and left them so: then nobody could ever stop the run.
        self._mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, self._before)
        self._inbox.watch(self._reader, self._read)
        return self

    def _remember(self, number: int, frame: FrameType | None) -> None:
        """Present so that the signal does not have its default effect; the wake-up descriptor does the work."""
        if number in _ending:
            self.last = number

    def _read(self) -> Iterable[Signal]:
        arrived = b""
        with suppress(BlockingIOError):
            arrived = os.read(self._reader, 512)
        signals: list[Signal] = []
        for number in arrived:
            if number in _ending and number in self._before:
                signals.append(Interrupted(number))
            elif number == signal.SIGTSTP:
                signals.append(self._pause())
        return _once_each(signals)

    def _pause(self) -> Resumed:
        for act in self._before_pause:
            act()
        began = time.monotonic()
        os.kill(os.getpid(), signal.SIGSTOP)  # returns when somebody sends SIGCONT
        for act in self._after_pause:
            act()
        return Resumed(time.monotonic() - began)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reader < 0:
            return
        self._inbox.unwatch(self._reader)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self._reader)
        os.close(self._writer)


def _once_each(signals: list[Signal]) -> list[Signal]:
    """A burst of one kind that arrived together is one signal: a key held down is not a second request."""
    return [signal for n, signal in enumerate(signals) if signal not in signals[:n] or isinstance(signal, Resumed)]
