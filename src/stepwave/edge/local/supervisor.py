"""The processes that start steps, and leave nothing of them behind.

`python -I -S` runs `main`, so all of this imports only the standard library and its neighbours and starts in 20 ms.
The first process is the *zygote*: it forks one *supervisor* per concurrency slot, each connected to the runner by a
socket of its own. A supervisor runs one step (a `Job`) at a time and is reused.

Rule 1  A supervisor is the child subreaper of its step: whatever the step forks, daemons included, stays below it.
Rule 2  A step has ended when its own process has ended and waitpid says that nothing is left: never at end of file.
Rule 3  End of file on the socket means that the runner is gone: kill everything below, exit. Nothing else is trusted.
Rule 4  An exit that has happened beats an order to stop that comes after it.
Rule 5  A step inherits descriptors 0, 1 and 2, no blocked and no ignored signal, and the caller's environment.
Rule 6  If a supervisor is killed, its step falls to the zygote, which kills it; if the zygote is killed, its
        supervisors get SIGTERM (PDEATHSIG), kill their steps and exit.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import time

from stepwave.edge.local.job import KILL_PATIENCE_S, Job
from stepwave.edge.local.messages import receive
from stepwave.edge.local.trees import descendants, kill_below
from stepwave.edge.local.wake import drain, wake_on_signals

TYPE_CHECKING = False  # importing typing would be a third of the start-up
if TYPE_CHECKING:
    from collections.abc import Callable

    from stepwave.core.masking import Forms, Stream

    Prctl = Callable[[int, int], None]

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

    def __init__(self, channel: int, wake: int, environ: dict[str, str]) -> None:
        self.channel = channel
        self.wake = wake
        self.environ = environ
        self.poll = select.poll()
        self.poll.register(channel, select.POLLIN)
        self.poll.register(wake, select.POLLIN)
        self.folder = ""
        self.forms: Forms | None = None

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
                    if message[0] == "run" and not Job(self, *message[1:]).run():
                        return


def serve_slots(control: socket.socket, prctl: Prctl) -> None:
    """Fork a supervisor for every descriptor that comes in; end, with everything below, when the runner is gone."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    wake = wake_on_signals(signal.SIGCHLD, signal.SIGTERM)
    first = receive(control.fileno())
    if first is None:
        return
    environ: dict[str, str] = first[0]
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
                _, fds, _, _ = socket.recv_fds(control, 1, 1)
                if not fds:
                    end_all(supervisors, wake)
                    return
                pid = os.fork()
                if pid == 0:
                    control.close()
                    os.close(wake)
                    become_supervisor(fds[0], environ, prctl)
                os.close(fds[0])
                supervisors.add(pid)


def become_supervisor(channel: int, environ: dict[str, str], prctl: Prctl) -> None:
    status = 1
    try:
        zygote = os.getppid()
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        if os.getppid() == zygote:
            os.set_inheritable(channel, False)
            wake = wake_on_signals(signal.SIGCHLD, signal.SIGTERM)
            Supervisor(channel, wake, environ).serve()
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
        spare = set(supervisors)
        for pid in supervisors:
            spare |= descendants(pid)
        kill_below(spare=spare)


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
