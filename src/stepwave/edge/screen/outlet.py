"""Where lines go: a stream that may break, fill up, or not be read for a while."""

import select
from collections import deque
from collections.abc import Sequence
from typing import TextIO

from stepwave.core.text import plural
from stepwave.edge.screen.stream import silence

_BACKLOG_LINES = 10_000


class Outlet:
    """A stream that never blocks its writer: lines it would not take at once wait here, up to a number."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._waiting: deque[str] = deque()
        self._dropped = 0
        self._open = True
        try:
            self._fd: int | None = stream.fileno()
        except (OSError, ValueError, AttributeError):
            self._fd = None

    def put(self, line: str) -> None:
        if len(self._waiting) < _BACKLOG_LINES:
            self._waiting.append(line)
        else:
            self._dropped += 1
        self.pump()

    def put_all(self, lines: Sequence[str]) -> None:
        """All of them, or none: the first may mean something that only the last one ends."""
        if len(self._waiting) + len(lines) <= _BACKLOG_LINES:
            self._waiting.extend(lines)
        else:
            self._dropped += len(lines)
        self.pump()

    def pump(self, wait_s: float = 0.0) -> None:
        """Write what the stream takes, waiting so long for each line."""
        while self._open and self._waiting and self._takes(wait_s):
            self._write(self._waiting.popleft())
            if self._dropped and len(self._waiting) < _BACKLOG_LINES:
                self._waiting.append(f"({plural(self._dropped, 'line')} not shown: nobody was reading)")
                self._dropped = 0

    def drain(self, patience_s: float) -> None:
        """Write everything, unless for so long not a line is taken: a run ends though nobody reads."""
        self.pump(patience_s)
        self._waiting.clear()

    def _takes(self, wait_s: float) -> bool:
        """Whether a line can be written without blocking: poll(2) promises a pipe PIPE_BUF bytes of room."""
        if self._fd is None or not hasattr(select, "poll"):
            return True
        poller = select.poll()
        poller.register(self._fd, select.POLLOUT)
        return bool(poller.poll(wait_s * 1000))

    def _write(self, line: str) -> None:
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except BlockingIOError:
            pass  # somebody made it non-blocking: Python keeps the rest and writes it with the next line
        except OSError:
            self._open = False
            silence(self._fd)
        except UnicodeError:
            self._waiting.appendleft(line.encode("ascii", "backslashreplace").decode("ascii"))
        except ValueError:
            self._open = False  # closed: its descriptor may be somebody else's by now
