"""The first helper process, started ahead: it takes some 20 ms, which are better spent while the file is being read."""

import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Self

from stepwave.edge.local.messages import send

_home = os.path.abspath(f"{__file__}/../../../..")  # noqa: PTH100 - the folder that holds the package
# Appended, so that the standard library is found first; -I keeps out everything else, the current folder above all.
_program = "import sys; sys.path += sys.argv[2:]; from stepwave.edge.local.supervisor import main; main()"


class Zygote:
    """Forks supervisors on request. While entered it lives; at the end it, and everything below it, is gone.

    `environ` is the environment that every step starts from. Raises OSError when no process can be started.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            os.set_inheritable(theirs.fileno(), True)
            self.pid = _spawn(theirs.fileno())
        send(self._control.fileno(), (dict(environ),))

    def new_supervisor(self, *begun: int) -> int:
        """Our end of a new supervisor's socket. `begun`: a file for the numbers of what it begins by itself, once it is
        sent "follow". Raises OSError when the zygote is gone."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._control, [b"+"], [theirs.fileno(), *begun])
        return ours.detach()

    def hand(self, numbered: Sequence[tuple[int, int]], env: Mapping[str, str]) -> None:
        """The steps of all supervisors that come find `env`, and the descriptors of `numbered`, each with the number
        that it has there: two at most, once."""
        socket.send_fds(self._control, [b"h"], [fd for fd, _ in numbered])
        send(self._control.fileno(), (tuple(number for _, number in numbered), dict(env)))

    def keep(self, fd: int) -> None:
        """It stays open in the zygote and in all supervisors that come, for as long as they live; steps have it not."""
        socket.send_fds(self._control, [b"k"], [fd])

    def close(self) -> None:
        """End of file is the order, its exit the answer."""
        if self._control.fileno() < 0:
            return
        self._control.close()
        with suppress(ChildProcessError):  # reaped by somebody else's wait(), or by SIGCHLD being ignored
            os.waitpid(self.pid, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _spawn(control: int) -> int:
    return os.posix_spawn(
        sys.executable,
        # The same file system encoding as here, whatever the environment says: text is handed over as text.
        [
            sys.executable,
            "-I",
            "-S",
            "-X",
            f"utf8={sys.flags.utf8_mode}",
            "-c",
            _program,
            str(control),
            _home,
            *_psutil(),
        ],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),  # the stdin of every step that has no other
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigmask=[],
        setsigdef=[s for s in signal.valid_signals() if s not in (signal.SIGKILL, signal.SIGSTOP)],
    )


def _psutil() -> list[str]:
    """Where psutil lies, for systems without /proc."""
    if os.path.isdir("/proc/self"):  # noqa: PTH112
        return []
    from importlib.util import find_spec

    found = find_spec("psutil")
    return [os.path.dirname(os.path.dirname(found.origin))] if found and found.origin else []  # noqa: PTH120
