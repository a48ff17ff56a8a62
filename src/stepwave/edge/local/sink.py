"""Where the output of a step goes: from a pipe to its log.

A step whose stdout *were* the log would lose it to the first `echo … > /dev/stderr`, which truncates, and nobody would
notice a full disk. Measured for 1 GB: read into one reused buffer and written takes 0.6 times what the step needs to
write the file itself, splice(2) 1.0 times, chunks of bytes 0.8 times.
"""

from __future__ import annotations

import contextlib
import fcntl
import os

TYPE_CHECKING = False  # importing typing would be a third of the start-up
if TYPE_CHECKING:
    from stepwave.core.masking import Stream
    from stepwave.edge.local.ear import Ear
    from stepwave.edge.local.logfile import LogFile

KEEP = 1 << 16
"""Bytes of a stream that are handed back where the runner asked for them; one more tells of more."""
_PIPE = 1 << 16  # what Linux gives a pipe at first
_LARGE = 1 << 18  # what it may have once it has been full

_buffer = bytearray(_LARGE)  # one for all: a supervisor is single-threaded and writes out what it has read


class Sink:
    """One end of a pipe that a step writes to, and the logs that its bytes go to. `mask` takes the secrets out of
    them, then `ear` hears them.
    """

    def __init__(self, logs: tuple[LogFile, ...], keep: bool, ear: Ear | None, mask: Stream | None = None) -> None:
        self.logs = logs
        self.ear = ear
        self.mask = mask
        self.keep = keep
        self.kept = bytearray()
        self.size = 0
        self.problem: str | None = None
        # The writing end stays open here: what ends a step is the end of its processes, and a pipe that never comes to
        # its end wakes nobody a moment before them.
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)

    def move(self) -> int:
        """Move what is there; the number of bytes."""
        try:
            moved = os.readv(self.reader, [_buffer])
        except BlockingIOError:
            return 0
        chunk = memoryview(_buffer)[:moved]
        if self.mask is not None:
            chunk = memoryview(self.mask.take(chunk))
        self._hand_on(chunk)
        if moved == _PIPE:
            self._widen()
        return moved

    def _hand_on(self, chunk: memoryview) -> None:
        if self.ear is not None:
            self.ear.take(chunk)
        if chunk and not self.problem:
            try:
                self._write(chunk)
            except OSError as error:
                # From here on what it prints is read and dropped: the step must not hang on our trouble.
                self.problem = f"its log could not be written: {error.strerror}"
        self.size += len(chunk)

    def drain(self) -> None:
        """The step is over: move what is left, which is no more than a pipe holds, whoever else may still write."""
        left = _LARGE
        while left > 0 and (moved := self.move()):
            left -= moved
        if self.mask is not None:
            self._hand_on(memoryview(self.mask.finish()))

    def _write(self, chunk: memoryview) -> None:
        for log in self.logs:
            log.write(chunk)
        if self.keep:
            self.kept += chunk[: KEEP + 1 - len(self.kept)]

    def _widen(self) -> None:
        """The pipe was full: a larger one means fewer turns. The kernel may refuse; then it stays as it is."""
        with contextlib.suppress(AttributeError, OSError):
            fcntl.fcntl(self.reader, fcntl.F_SETPIPE_SZ, _LARGE)

    def close(self) -> None:
        os.close(self.reader)
        os.close(self.writer)
