"""Where the output of a step goes: from a pipe to its log.

A step whose stdout *were* the log would lose it to the first `echo … > /dev/stderr`, which truncates, and nobody would
notice a full disk. The kernel moves the bytes (splice(2)); a gigabyte costs the supervisor a tenth of a second.
"""

import os

from stepwave.edge.local.messages import CHUNK

KEEP = 1 << 16
"""Bytes of a stream that are handed back where the runner asked for them; one more tells of more."""

splice = getattr(os, "splice", None)


class Sink:
    """One end of a pipe that a step writes to, and the file, or files, that its bytes go to."""

    def __init__(self, paths: tuple[str, ...], keep: bool) -> None:
        self.paths = paths
        self.keep = keep  # then the log is shared with the other stream: appended to, and never spliced
        self.kept = bytearray()
        self.size = 0
        self.files: list[int] = []
        self.problem: str | None = None
        self.reader, self.writer = os.pipe()

    def started(self) -> None:
        """The step has the writing end now; ours is closed."""
        os.close(self.writer)
        self.writer = -1
        os.set_blocking(self.reader, False)

    def move(self) -> bool:
        """Move what is there; False at end of file."""
        try:
            moved = len(os.read(self.reader, CHUNK)) if self.problem else self._move_some()
        except BlockingIOError:
            return True
        except OSError as error:
            # From here on what it prints is read and dropped: the step must not hang on our trouble.
            self.problem = f"its log could not be written: {error.strerror}"
            return True
        self.size += moved
        return moved > 0

    def _move_some(self) -> int:
        if self.files and not self.keep and splice is not None:
            return int(splice(self.reader, self.files[0], 1 << 20))
        chunk = os.read(self.reader, CHUNK)
        if chunk and not self.files:
            flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (os.O_APPEND if self.keep else 0)
            self.files = [os.open(path, flags, 0o600) for path in self.paths]
        for file in self.files:
            view = memoryview(chunk)
            while view:
                view = view[os.write(file, view) :]
        if self.keep:
            self.kept += chunk[: KEEP + 1 - len(self.kept)]
        return len(chunk)

    def close(self) -> None:
        for fd in (self.reader, self.writer, *self.files):
            if fd >= 0:
                os.close(fd)
