"""A worker process, seen from the caller: starting it, talking with it, knowing what it is at, and its end.

It is a fresh interpreter, not a fork of the caller: a fork of a process with threads may hang, and it has everything
that the caller has open. It leads a process group of its own, so Ctrl-C does not reach it, and whatever its function
has started ends with it.
"""

import mmap
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
from collections import deque
from contextlib import ExitStack, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NamedTuple

from stepwave.core.text import signal_name
from stepwave.parallel.ended import Stretch
from stepwave.parallel.shipping import Shipment, flags
from stepwave.parallel.worker import ASKED, BEGAN_NS, BEGUN, HAND_BACK, REPORT, RUNS

PROGRAM = Path(__file__).with_name("worker.py")


Fault = tuple[bytes | None, str, str]
"""An exception as worker.py sends it."""


class Frame(NamedTuple):
    """What a worker has sent: its kind, as in worker.py, and a pickle."""

    kind: bytes
    blob: bytearray


class Child:
    """One worker. `lists`: what it was given and has not told the end of, in that order."""

    def __init__(self, shipment: Shipment) -> None:
        self.lists: deque[Stretch] = deque()
        self.told_at = monotonic()
        self._told = 0
        self._out: deque[memoryview] = deque()
        self._head, self._body, self._filled = bytearray(), bytearray(), 0
        self.is_gone = False
        with ExitStack() as theirs, ExitStack() as ours:
            self._connection, connection = socket.socketpair()
            ours.enter_context(self._connection).setblocking(False)
            theirs.enter_context(connection)
            page = _shared_memory()
            theirs.callback(os.close, page)
            self._page = ours.enter_context(mmap.mmap(page, mmap.PAGESIZE))
            self._cells = ours.enter_context(memoryview(self._page).cast("Q"))
            # Each has a lifeline of its own: of those who share a pipe, the kernel tells only one of its end.
            held, lifeline = os.pipe()[::-1]
            ours.callback(os.close, held)
            theirs.callback(os.close, lifeline)
            self._process = self._started((connection.fileno(), page, lifeline))
            self._ours = ours.pop_all()
        self._pidfd = _pidfd(self._process.pid)
        self.send(shipment.preamble)
        self.send(shipment.func)

    def _started(self, fds: tuple[int, int, int]) -> subprocess.Popen[bytes]:
        if not sys.executable:
            raise RuntimeError("this Python does not know its own program, so it cannot start workers")
        argv = [sys.executable, *flags(), "-P", str(PROGRAM), *map(str, fds)]
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, pass_fds=fds, start_new_session=True)

    # --- talking ---------------------------------------------------------------------------------------

    def watch(self, poll: select.poll) -> list[int]:
        """Have it polled for whatever it may want. Returns the file descriptors."""
        connection = self._connection.fileno()
        poll.register(connection, select.POLLIN | select.POLLOUT if self._out else select.POLLIN)
        if self._pidfd is None:
            return [connection]
        poll.register(self._pidfd, select.POLLIN)  # a child of its function may keep its connection open
        return [connection, self._pidfd]

    def give(self, stretch: Stretch, blob: bytes) -> None:
        if not self.lists:
            self.told_at = monotonic()
        self.lists.append(stretch)
        self.send(blob)

    def send(self, blob: bytes) -> None:
        """Never blocks: what the connection does not take now goes with `flush`."""
        self._out.append(memoryview(len(blob).to_bytes(8, "little")))
        self._out.append(memoryview(blob))
        self.flush()

    def flush(self) -> None:
        try:
            while self._out:
                view = self._out.popleft()
                sent = self._connection.send(view) if view else 0
                if sent < len(view):
                    self._out.appendleft(view[sent:])
        except BlockingIOError:
            self._out.appendleft(view)
        except OSError:
            self._out.clear()  # it is dead, which its other end tells

    def receive(self) -> Frame | None:
        """The next frame, if all of it is there. `is_gone` is set when no other will come."""
        try:
            while len(self._head) < 9:
                if not (piece := self._connection.recv(9 - len(self._head))):
                    self.is_gone = True
                    return None
                self._head += piece
                if len(self._head) == 9:
                    self._body, self._filled = bytearray(int.from_bytes(self._head[1:], "little")), 0
            while self._filled < len(self._body):
                with memoryview(self._body) as view:
                    count = self._connection.recv_into(view[self._filled :])
                if not count:
                    self.is_gone = True
                    return None
                self._filled += count
        except BlockingIOError:
            return None
        except OSError:
            self.is_gone = True
            return None
        frame = Frame(bytes(self._head[:1]), self._body)
        self._head, self._body = bytearray(), bytearray()
        return frame

    # --- what it is at ---------------------------------------------------------------------------------

    def told(self, count: int, left: int) -> tuple[Stretch, Stretch]:
        """It has told the end of so many items, and hands back so many. Returns these and those."""
        self._told += count
        self.told_at = monotonic()
        done, rest = self.lists.popleft().cut(count)
        if left < len(rest.items):
            self.lists.appendleft(rest)
            return done, Stretch(rest.first, [])
        return done, rest

    def begun(self) -> int:
        """How many of the items in `lists` it has begun; the last of them runs, or what came of it is on its way."""
        return int(self._cells[BEGUN]) - self._told

    def not_begun(self) -> int:
        return sum(len(stretch.items) for stretch in self.lists) - self.begun()

    def has_ended(self) -> bool:
        return self.is_gone or _has_ended(self._process.pid)

    def running_since(self) -> float | None:
        """When the item that runs now began."""
        begun, began_ns = self._cells[BEGUN], self._cells[BEGAN_NS]
        runs = self._cells[RUNS] and self._cells[BEGUN] == begun
        return began_ns / 1e9 if runs else None

    def ask_back(self, *, asked: bool) -> None:
        """Whether it is to hand back what it has not begun."""
        self._cells[ASKED] = HAND_BACK if asked else 0

    def is_asked_back(self) -> bool:
        return bool(self._cells[ASKED] == HAND_BACK)

    def ask_report(self) -> None:
        """It is to tell what it has done of a list, if there is something to tell."""
        if self.begun() > 1 and not self._cells[ASKED]:
            self._cells[ASKED] = REPORT

    # --- its end ---------------------------------------------------------------------------------------

    def part(self) -> None:
        """Nothing more will be sent: an idle worker ends."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)

    def kill(self, *, patience_ms: int = 0) -> None:
        """See that it ends, and all that it has started: by itself within some time, or else by force."""
        if patience_ms:
            self._await(patience_ms)
        # While nobody has waited for the leader, its number, which is that of the group, is not given away.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)

    def _await(self, patience_ms: int) -> None:
        if self._pidfd is not None:
            watch = select.poll()
            watch.register(self._pidfd, select.POLLIN)
            watch.poll(patience_ms)
            return
        until = monotonic() + patience_ms / 1000
        while not _has_ended(self._process.pid) and monotonic() < until:
            sleep(0.001)

    def bury(self) -> str:
        """After `kill`: let go of what belongs to it. Returns how it ended."""
        code = self._process.wait()
        if self._pidfd is not None:
            os.close(self._pidfd)
        self._ours.close()
        return f"was killed by {signal_name(-code)}" if code < 0 else f"ended with exit code {code}"


def _shared_memory() -> int:
    """A file descriptor of a page that has no name."""
    if hasattr(os, "memfd_create"):
        page = os.memfd_create("stepwave")
    else:
        import tempfile

        with tempfile.TemporaryFile() as file:
            page = os.dup(file.fileno())
    os.ftruncate(page, mmap.PAGESIZE)
    return page


def _has_ended(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
    except ChildProcessError:
        return True  # somebody else has waited for it


def _pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None  # not this system: then the end of the connection must do


def load_fault(fault: Fault) -> BaseException:
    """The exception that a worker has told of, with its traceback as its cause, as concurrent.futures does it."""
    blob, words, told = fault
    try:
        error: Any = RuntimeError(words) if blob is None else pickle.loads(blob)
    except BaseException:
        error = RuntimeError(words)
    found = error if isinstance(error, BaseException) else RuntimeError(words)
    with suppress(Exception):  # there are some that let nobody set anything
        found.__cause__ = WorkerTraceback(told)
    return found


class WorkerTraceback(Exception):  # noqa: N818 - says what it is
    """The traceback of a worker process, as text."""

    def __init__(self, told: str) -> None:
        super().__init__(told)
        self.told = told

    def __str__(self) -> str:
        return f"\n{self.told.rstrip()}"
