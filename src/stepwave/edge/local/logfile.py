"""A log of one attempt, on disk: made with its first byte, and turned over where it may not grow for ever."""

from __future__ import annotations

import os

_older = ".1"  # core.events.older_log; importing that would cost a supervisor more than it needs to start


class LogFile:
    """Where both streams of an attempt may write: one place that knows how long the file is.

    `most`: of a step that prints more bytes than that the newest are kept. At half of it, where a line ends if one
    does, what there is becomes `<log>.1`, in place of the one before. `dropped` counts the bytes that are gone.
    """

    def __init__(self, path: str, most: int | None = None) -> None:
        self.dropped = 0
        self._path = path
        self._half = None if most is None else max(1, most // 2)
        self._fd = -1
        self._size = self._older = 0
        self._whole = False  # it ends with a line

    def write(self, chunk: memoryview) -> None:
        """Raises OSError."""
        if self._half is not None and self._size + len(chunk) > self._half:
            chunk = self._turn_over(chunk, self._half)
        self._append(chunk)

    def _turn_over(self, chunk: memoryview, half: int) -> memoryview:
        """What is left for the newest file."""
        never_seen = max(0, len(chunk) - 2 * half)
        self.dropped += never_seen
        chunk = chunk[never_seen:]
        while self._size + len(chunk) > half:
            room = half - self._size
            line_end = bytes(chunk[:room]).rfind(b"\n") + 1
            piece = line_end or (0 if self._whole else room)
            self._append(chunk[:piece])
            chunk = chunk[piece:]
            self.close()
            os.rename(self._path, self._path + _older)
            self.dropped += self._older
            self._older, self._size, self._whole = self._size, 0, False
        return chunk

    def _append(self, chunk: memoryview) -> None:
        if not chunk:
            return
        if self._fd < 0:
            flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
            self._fd = os.open(self._path, flags, 0o600)
            os.fchmod(self._fd, 0o600)  # whatever the umask, which is the step's
        self._size += len(chunk)
        self._whole = chunk[-1] == 0x0A
        while chunk:
            chunk = chunk[os.write(self._fd, chunk) :]

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
