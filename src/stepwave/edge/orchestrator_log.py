"""`orchestrator.log` in the folder of a run: what happens, a line each, for `tail -f`."""

import os
import time
from contextlib import suppress
from pathlib import Path

from stepwave.core.events import Entry
from stepwave.core.telling.journal import sentence

FILE_NAME = "orchestrator.log"


class OrchestratorLog:
    """Made with the first line; the lines of a turn are there at its end, and survive the end of this process.

    A courtesy listener: nothing hangs on it. `settle` raises OSError when it cannot be written.
    """

    refresh_s: float | None = None

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._fd = -1
        self._second = -1
        self._stamp = ""
        self._lines: list[str] = []

    def see(self, entry: Entry) -> None:
        text = sentence(entry.event)
        if text is not None:
            self._lines.append(f"{self._time(entry.at)} {text}\n")

    def settle(self) -> None:
        """Write what has been seen."""
        if not self._lines:
            return
        if self._fd < 0:
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        text, self._lines = "".join(self._lines), []
        left = text.encode("utf-8", "backslashreplace")
        while left:
            left = left[os.write(self._fd, left) :]

    def _time(self, at: float) -> str:
        """`2026-01-02T03:04:05.678Z` (ISO 8601)."""
        second, fraction = divmod(at, 1)
        if second != self._second:
            self._second = int(second)
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._stamp}.{int(fraction * 1000):03d}Z"

    def refresh(self) -> None:
        """Nothing to draw."""

    def pause(self) -> None:
        """Nothing on a terminal."""

    def close(self) -> None:
        """What was not settled is of a turn in which the run itself has failed: nothing is to hide why."""
        with suppress(OSError):
            self.settle()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
