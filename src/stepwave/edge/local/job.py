"""One attempt of one step, from its start to the end of its whole tree. The rules are those of `supervisor.py`."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import time

from stepwave.edge.local.logfile import LogFile
from stepwave.edge.local.messages import nameless_file, receive, send
from stepwave.edge.local.sink import Sink
from stepwave.edge.local.trees import descendants, describe, freeze, kill_below, signal_each
from stepwave.edge.local.wake import drain

TYPE_CHECKING = False  # importing typing would be a third of the start-up
if TYPE_CHECKING:
    from typing import Any

    from stepwave.edge.local.ear import Ear
    from stepwave.edge.local.supervisor import Supervisor

ALONE_S = 0.1  # for what outlives its step by a moment, such as the `tee` of bash's `> >(tee log)`
LEFT_GRACE_S = 0.2  # for what a step left behind, between SIGTERM and SIGKILL
KILL_PATIENCE_S = 10.0  # then a process that cannot be killed (state D, another user's) is named and given up

NULL = 0  # the zygote was started with /dev/null there, and so is everything below it

_all_signals = [s for s in signal.valid_signals() if s not in (signal.SIGKILL, signal.SIGSTOP)]


def find_program(name: str, path: str) -> str:
    """The file that execvp would run, by the step's own PATH and from its own folder. Raises OSError."""
    if "/" in name:
        return name
    found_but = errno.ENOENT
    for folder in path.split(":"):
        candidate = os.path.join(folder or ".", name)
        if os.access(candidate, os.X_OK) and os.path.isfile(candidate):
            return candidate
        if os.path.isfile(candidate):
            found_but = errno.EACCES
    raise OSError(found_but, os.strerror(found_but), name)


class Job:
    """One attempt of one step, from its start to the end of its whole tree."""

    def __init__(
        self,
        slot: Supervisor,
        number: int,
        argv: list[str],
        wrap: list[str],
        cwd: str,
        overlay: dict[str, str | None],
        stdin: tuple[str, Any] | None,
        logs: tuple[str, str | None, int | None],
        listening: tuple[bool, float | None] | None = None,
    ) -> None:  # the fields of a "run" message
        self.slot = slot
        self.number = number
        self.argv = argv
        self.wrap = wrap
        self.cwd = cwd
        self.stdin = stdin
        self.pid: int | None = None
        self.status: int | None = None
        self.usage: tuple[float, float, int] | None = None
        self.stopped = False
        self.forced = False
        self.asked = False  # what it left behind has been sent SIGTERM
        self.gone = False  # the runner is
        self.left: list[str] = []
        self.deadline: float | None = None  # when to be harder with what is still alive
        self.give_up = 0.0
        self.stuck = False  # something below cannot be killed: the slot is not used again
        self.environ = slot.environ
        if overlay:
            merged = {**slot.environ, **overlay}
            self.environ = {k: v for k, v in merged.items() if v is not None}
        self.ear: Ear | None = None
        if listening is not None:
            from stepwave.edge.local.ear import Ear  # nothing that a plain step should wait for

            self.ear = Ear(*listening)
        log, apart, most = logs
        # Without a log nothing is written: somebody asks for the output alone, which comes back in the report.
        names = (log, apart.removesuffix(".out") + ".err", apart) if apart else (log,)
        self.logs = tuple(LogFile(name, most) for name in names) if log else ()
        self.both = Sink(self.logs[:2], apart is not None, self.ear, slot.mask())
        self.out = self.both
        if apart:
            self.out = Sink(self.logs[::2], True, self.ear, slot.mask())

    def run(self) -> bool:
        """True when the slot may serve again."""
        try:
            try:
                self.start()
            except (OSError, ValueError) as error:
                self.report(problem=_start_problem(error, self.argv[0], self.cwd))
                return True
            self.watch()
            if self.gone:
                self.slot.flush()  # it may be only the zygote that is gone
                return False
            self.report()
            return not self.stuck
        finally:
            for sink in {self.both, self.out}:
                sink.close()
            for log in self.logs:
                log.close()

    # starting

    def start(self) -> None:
        if self.cwd != self.slot.folder:
            self.slot.folder = ""
            os.chdir(self.cwd)
            self.slot.folder = self.cwd
        program = find_program(self.argv[0], self.environ.get("PATH", os.defpath))
        stdin = self.open_stdin()
        try:
            try:
                self.spawn(program, self.argv, stdin)
            except OSError as error:
                if error.errno != errno.ENOEXEC:
                    raise
                # A script without a first line `#!`: execvp(3) hands it to the shell, so do we.
                self.spawn("/bin/sh", ["/bin/sh", program, *self.argv[1:]], stdin)
        finally:
            if stdin != NULL:
                os.close(stdin)

    def spawn(self, program: str, argv: list[str], stdin: int) -> None:
        if self.wrap:
            argv = [*self.wrap, program, *argv[1:]]
            program = argv[0]
        actions = [(os.POSIX_SPAWN_DUP2, self.out.writer, 1), (os.POSIX_SPAWN_DUP2, self.both.writer, 2)]
        if stdin != NULL:
            actions.append((os.POSIX_SPAWN_DUP2, stdin, 0))
        for fd, number in self.slot.handed:
            actions.append((os.POSIX_SPAWN_DUP2, fd, number))
        self.pid = os.posix_spawn(
            program,
            argv,
            self.environ,
            file_actions=actions,
            setsid=True,
            setsigmask=[],
            setsigdef=_all_signals,
        )

    def open_stdin(self) -> int:
        if self.stdin is None:
            return NULL
        kind, what = self.stdin
        if kind == "path":
            return os.open(what, os.O_RDONLY | os.O_CLOEXEC)
        fd = nameless_file()
        view = memoryview(what)
        while view:
            view = view[os.write(fd, view) :]
        os.lseek(fd, 0, os.SEEK_SET)
        return fd

    # watching

    def watch(self) -> None:
        poll = self.slot.poll
        sinks = {sink.reader: sink for sink in (self.both, self.out)}
        for fd in sinks:
            poll.register(fd, select.POLLIN)
        tree_gone = False
        while not tree_gone and not self.stuck:
            wait = None if self.deadline is None else max(0.0, self.deadline - time.monotonic()) * 1000
            if self.ear is not None:
                wait = self.listen(self.ear)
            if self.slot.queue or self.slot.held:
                wait = self.slot.look(wait, self.number)
            for fd, _ in poll.poll(wait):
                if fd in sinks:
                    sinks[fd].move()
                elif fd == self.slot.channel:
                    self.obey()
                elif signal.SIGTERM in drain(self.slot.wake):
                    self.runner_is_gone()
            tree_gone = self.reap()
        for fd, sink in sinks.items():
            poll.unregister(fd)
            sink.drain()

    def listen(self, ear: Ear) -> float | None:
        """Act on what was heard, or was not; how many milliseconds to wait for more at most."""
        now = time.monotonic()
        if self.status is not None or self.stopped:
            ear.hush()
        if ear.is_silent(now):
            self.tell((self.number, "silent"))
        until = [at for at in (self.deadline, ear.due) if at is not None]
        return max(0.0, min(until) - now) * 1000 if until else None

    def reap(self) -> bool:
        """Collect what has ended; True when nothing is left. Deals with what outlives the step's own process."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                break
            if pid == self.pid and self.status is None:
                self.status = status
                self.usage = (usage.ru_utime, usage.ru_stime, usage.ru_maxrss * 1024)
        if self.status is not None or self.forced:
            self.see_off()
        return False

    def see_off(self) -> None:
        """The step's own process has ended and others are alive: a moment to end by themselves, TERM, KILL."""
        now = time.monotonic()
        if self.deadline is None:
            # After an order to stop the runner says when to be harder; they may be shutting down in good order.
            self.deadline = None if self.stopped else now + ALONE_S
        elif now < self.deadline:
            return
        elif not self.forced and not self.asked:
            self.asked = True
            self.left = self.living()
            self.signal_all(signal.SIGTERM)
            self.deadline, self.give_up = now + LEFT_GRACE_S, now + LEFT_GRACE_S + KILL_PATIENCE_S
        elif now >= self.give_up:
            self.left = self.living()
            self.stuck = True
        else:
            kill_below(self.pid)
            self.deadline = now + 0.02

    def living(self) -> list[str]:
        return [describe(pid) for pid in sorted(descendants(os.getpid()))[:20]]

    # orders

    def obey(self) -> None:
        message = receive(self.slot.channel)
        if message is None:
            self.runner_is_gone()
        elif message[0] == "freeze":
            self.slot.give_back(self.number)
            freeze()
            if self.ear is not None:
                self.ear.freeze(time.monotonic())
        elif message[0] == "thaw":
            if self.ear is not None:
                self.ear.thaw(time.monotonic())
            self.signal_all(signal.SIGCONT)
        elif message[0] == "follow":
            self.slot.enqueue(message)
        elif message[0] == "recall":
            self.slot.give_back(self.number)
        elif message[0] == "stop":
            self.slot.give_back(self.number)
            self.obey_stop(*message[1:])

    def obey_stop(self, job: int, number: int) -> None:
        """An exit that has happened beats it, and so does the start of another job."""
        if job != self.number:
            return
        self.reap()
        if self.status is None or self.stopped:
            self.stop(number)

    def stop(self, number: int) -> None:
        self.stopped = True
        if number != signal.SIGKILL:
            self.signal_all(number)
            return
        self.forced = True
        kill_below(self.pid)
        now = time.monotonic()
        self.deadline, self.give_up = now + 0.02, now + KILL_PATIENCE_S

    def signal_all(self, number: int) -> None:
        """Signal everything below, until a walk finds nothing new: a process may have been forking just now."""
        seen: set[int] = set()
        while new := descendants(os.getpid()) - seen:
            signal_each(new, number)
            if number != signal.SIGCONT:
                signal_each(new, signal.SIGCONT)
            seen |= new
        if not seen and self.pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)  # all that can be done where there is no /proc

    def runner_is_gone(self) -> None:
        self.slot.poll.unregister(self.slot.channel)
        self.gone = True
        self.stop(signal.SIGKILL)

    # reporting

    def report(self, problem: str | None = None) -> None:
        apart = self.out is not self.both
        problem = problem or self.both.problem or self.out.problem
        follows = self.slot.follows(problem is None and self.status == 0 and not self.stopped and not self.left)
        message = (
            self.number,
            self.pid,
            self.status,
            problem,
            self.stopped,
            tuple(self.left),
            self.usage,
            (bytes(self.out.kept), bytes(self.both.kept)) if apart else None,
            self.both.size + (self.out.size if apart else 0),
            self.out.size if apart else 0,
            self.logs[0].dropped if self.logs else 0,
            time.monotonic(),
            follows,
        )
        self.slot.report(message if self.ear is None else (*message, self.ear.tail), self.number, follows=follows)

    def tell(self, message: tuple[Any, ...]) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            send(self.slot.channel, message)


def _start_problem(error: OSError | ValueError, command: str, cwd: str) -> str:
    if isinstance(error, ValueError):  # a NUL byte, or text that is no text (a lone surrogate)
        return f"could not be started: {error}"
    if error.filename == cwd:
        return f"working directory `{cwd}`: {(error.strerror or '').lower()}"
    if error.errno == errno.ENOENT and error.filename in (command, None):
        return f"command not found: `{command}`"
    if error.errno == errno.EACCES:
        return f"`{command}` is not executable"
    if error.errno == errno.E2BIG:
        return "its arguments and environment are larger than the system allows"
    what = f": `{error.filename}`" if error.filename else ""
    return f"could not be started: {(error.strerror or str(error)).lower()}{what}"
