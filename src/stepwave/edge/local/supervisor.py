"""The processes that start steps, and leave nothing of them behind.

`python -I -S` runs `main`, so all of this imports only the standard library and its neighbours and starts in 20 ms.
The first process is the *zygote*: it forks one *supervisor* per concurrency slot, each connected to the runner by a
socket of its own. A supervisor runs one step (a `Job`) at a time and is reused.

Rule 1  A supervisor is the child subreaper of its step: whatever the step forks, daemons included, stays below it.
Rule 2  A step has ended when its own process has ended and waitpid says that nothing is left: never at end of file.
Rule 3  End of file on the socket means that the runner is gone: kill everything below, exit. Nothing else is trusted.
Rule 4  An exit that has happened beats an order to stop that comes after it.
Rule 5  A step inherits descriptors 0, 1 and 2, no blocked and no ignored signal, and the caller's environment; and what
        was handed down for it, the pipe of a job server.
Rule 6  If a supervisor is killed, its step falls to the zygote, which kills it; if the zygote is killed, its
        supervisors get SIGTERM (PDEATHSIG), kill their steps and exit.
Rule 7  What is queued behind a step starts only when that has ended well, and soon; else it goes back to the runner.
Rule 8  Before it starts, its number is written where it outlives the supervisor: a report may be lost with that, but
        never which steps had begun.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import socket
import sys
import time

from stepwave.edge.local.job import KILL_PATIENCE_S, Job
from stepwave.edge.local.messages import NUMBER, framed, receive, write
from stepwave.edge.local.trees import kill_below
from stepwave.edge.local.wake import drain, wake_on_signals

TYPE_CHECKING = False  # importing typing would be a third of the start-up
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from stepwave.core.masking import Forms, Stream

    Prctl = Callable[[int, int], None]

HOLD_S = 0.003
"""How long a report may wait for the next ones, while the slot has work: each that is sent alone wakes the runner."""
HOLD = 4  # reports

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def _load_prctl() -> Prctl:
    if not sys.platform.startswith("linux"):
        return lambda option, value: None
    import ctypes  # only the zygote needs it, and it is slow to import

    libc = ctypes.CDLL(None, use_errno=True)

    def prctl(option: int, value: int) -> None:
        libc.prctl(option, value, 0, 0, 0)

    return prctl


class Supervisor:
    """One slot: an idle wait for the next job, or one job with its tree."""

    def __init__(
        self, channel: int, begun: int, wake: int, environ: dict[str, str], handed: list[tuple[int, int]]
    ) -> None:
        self.channel = channel
        self.begun, self.place = begun, 0  # where the number of what has begun is written, among those of other slots
        self.handed = handed
        self.wake = wake
        self.environ = environ
        self.poll = select.poll()
        self.poll.register(channel, select.POLLIN)
        self.poll.register(wake, select.POLLIN)
        self.folder = ""
        self.forms: Forms | None = None
        self.queue: list[tuple[Any, ...]] = []  # the fields of "run" messages
        self.number = 0  # of what was queued or begun last
        self.began = 0.0
        self.long_s = 0.0  # what takes longer is followed by nobody; comes with the queue
        self.held: list[bytes] = []
        self.held_since = 0.0

    def mask(self) -> Stream | None:
        """For one stream of a step, where there are secrets."""
        if self.forms is None:
            return None
        from stepwave.core.masking import Stream

        return Stream(self.forms)

    def serve(self) -> None:
        while True:
            for fd, _ in self.poll.poll():
                if fd == self.wake and signal.SIGTERM in drain(self.wake):
                    return
                if fd == self.channel:
                    message = receive(self.channel)
                    if message is None:
                        return
                    if message[0] == "mask":
                        from stepwave.core.masking import Forms  # only where there are secrets

                        self.forms = Forms(message[1])
                    elif message[0] == "run":
                        if not self.work(message[1:]):
                            return
                    elif message[0] == "follow":  # what that was to follow has just ended
                        self.refuse(message)

    def work(self, fields: tuple[Any, ...]) -> bool:
        """One step, and what is queued behind it. True when the slot may serve again."""
        self.number = fields[0]
        while True:
            self.began = time.monotonic()
            if not Job(self, *fields).run():
                return False
            if not self.queue:
                return True
            fields = self.queue.pop(0)
            os.pwrite(self.begun, fields[0].to_bytes(NUMBER, sys.byteorder), self.place * NUMBER)

    # what is to follow

    def enqueue(self, message: tuple[Any, ...]) -> None:
        """`("follow", number, [fields, …], place, long_s)`, for what was queued or begun with that number."""
        _, behind, steps, self.place, self.long_s = message
        if behind != self.number:
            self.refuse(message)
            return
        self.queue += steps
        self.number = steps[-1][0]

    def refuse(self, message: tuple[Any, ...]) -> None:
        self.held.append(framed(("returned", [fields[0] for fields in message[2]])))
        self.flush()

    def give_back(self, current: int) -> None:
        """What is queued is not begun here. `current`: the number of what runs."""
        if self.queue:
            self.held.append(framed(("returned", [fields[0] for fields in self.queue])))
            self.queue = []
            self.number = current
        self.flush()

    def follows(self, went_well: bool) -> bool:
        """Whether the step that has just ended is followed by the next in the queue."""
        return bool(self.queue) and went_well and time.monotonic() - self.began < self.long_s

    def report(self, message: tuple[Any, ...], current: int, *, follows: bool) -> None:
        self.held.append(framed(message))
        now = time.monotonic()
        if len(self.held) == 1:
            self.held_since = now
        if not follows:
            self.give_back(current)
        elif len(self.held) >= HOLD or now - self.held_since >= HOLD_S:
            self.flush()

    def flush(self) -> None:
        if self.held:
            data = b"".join(self.held)
            self.held = []
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                write(self.channel, data)

    def look(self, wait: float | None, current: int) -> float | None:
        """Tell the runner what it should know by now; the milliseconds until the next time, `wait` at most."""
        now = time.monotonic()
        if self.queue and now - self.began >= self.long_s:
            self.give_back(current)
        elif self.held and now - self.held_since >= HOLD_S:
            self.flush()
        until = [self.held_since + HOLD_S] if self.held else []
        if self.queue:
            until.append(self.began + self.long_s)
        soon = max(0.0, min(until) - now) * 1000 if until else None
        return soon if wait is None else wait if soon is None else min(soon, wait)


def serve_slots(control: socket.socket, prctl: Prctl) -> None:
    """Fork a supervisor for every descriptor that comes in; end, with everything below, when the runner is gone."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    wake = wake_on_signals(signal.SIGCHLD, signal.SIGTERM)
    first = receive(control.fileno())
    if first is None:
        return
    environ: dict[str, str] = first[0]
    handed: list[tuple[int, int]] = []
    supervisors: set[int] = set()
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(wake, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == wake:
                if signal.SIGTERM in drain(wake):
                    end_all(supervisors, wake)
                    return
                reap_supervisors(supervisors)
            else:
                word, fds, _, _ = socket.recv_fds(control, 1, 2)  # a socket, and where to write what has begun
                if not fds and word != b"h":
                    end_all(supervisors, wake)
                    return
                if word == b"k":
                    os.set_inheritable(fds[0], False)
                    continue
                if word == b"h":
                    handed = take_over(control.fileno(), fds, environ)
                    continue
                pid = os.fork()
                if pid == 0:
                    control.close()
                    os.close(wake)
                    become_supervisor(fds, environ, handed, prctl)
                close_all(fds)
                supervisors.add(pid)


def close_all(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)


def take_over(control: int, fds: list[int], environ: dict[str, str]) -> list[tuple[int, int]]:
    """What `Zygote.hand` has sent: the descriptors for steps, and their numbers there."""
    numbers, more = receive(control) or ((), {})
    environ.update(more)
    above = max(numbers, default=0) + 1  # or one of them might be overwritten before its turn
    moved: list[int] = []
    with contextlib.suppress(OSError):  # so few descriptors allowed: then steps have none, and make says so
        moved = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, above) for fd in fds]
    close_all(fds)
    return list(zip(moved, numbers, strict=False))


def become_supervisor(fds: list[int], environ: dict[str, str], handed: list[tuple[int, int]], prctl: Prctl) -> None:
    status = 1
    try:
        zygote = os.getppid()
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        if os.getppid() == zygote:
            for fd in fds:
                os.set_inheritable(fd, False)
            wake = wake_on_signals(signal.SIGCHLD, signal.SIGTERM)
            Supervisor(fds[0], fds[-1], wake, environ, handed).serve()
            status = 0
    finally:
        if status:
            kill_below()  # a fault in here must not cost what rule 1 promises
        os._exit(status)


def reap_supervisors(supervisors: set[int]) -> None:
    """Collect supervisors that ended; what a killed one left behind is ours now, and is killed."""
    orphans = False
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            orphans = orphans or (pid in supervisors and status != 0)
            supervisors.discard(pid)
    if orphans:
        kill_below(spare=supervisors)


def end_all(supervisors: set[int], wake: int) -> None:
    """The runner is gone. The supervisors know it too and end by themselves; what does not is killed."""
    give_up = time.monotonic() + 2 * KILL_PATIENCE_S
    while supervisors and time.monotonic() < give_up:
        select.select([wake], [], [], 1.0)
        drain(wake)
        reap_supervisors(supervisors)
    kill_below()


def main() -> None:
    control = int(sys.argv[1])
    os.closerange(3, control)
    os.closerange(control + 1, os.sysconf("SC_OPEN_MAX"))
    os.set_inheritable(control, False)
    serve_slots(socket.socket(fileno=control), _load_prctl())
    os._exit(0)  # somebody waits for this; taking the interpreter apart takes 5 ms
