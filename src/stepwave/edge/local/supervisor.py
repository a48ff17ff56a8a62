"""The process that starts steps, and leaves nothing of them behind.

Run as a script by `python -I -S`, so it imports only the standard library and starts in about 20 ms. The first process
is the *zygote*: it forks one *supervisor* per concurrency slot, each connected to the runner by a socket of its own.
A supervisor runs one step at a time and is reused.

Rule 1  A supervisor is the child subreaper of its step: whatever the step forks, daemons included, stays below it.
Rule 2  A step has ended when its own process has ended and waitpid says that nothing is left: never at end of file.
Rule 3  End of file on the socket means that the runner is gone: kill everything below, exit. Nothing else is trusted.
Rule 4  An exit that has happened beats an order to stop that comes after it.
Rule 5  A step inherits descriptors 0, 1 and 2, no blocked and no ignored signal, and the caller's environment.
Rule 6  If a supervisor is killed, its step falls to the zygote, which kills it; if the zygote is killed, its
        supervisors get SIGTERM (PDEATHSIG), kill their steps and exit.
Rule 7  Output is moved from a pipe to a file that is made with the first byte. (A step whose stdout *were* the file
        would lose its log to the first `echo … > /dev/stderr`, which truncates; and nobody would notice a full disk.)

Messages are a 4-byte length and a marshalled tuple: both ends are the same Python.
"""

from __future__ import annotations

import contextlib
import errno
import marshal
import os
import select
import signal
import socket
import struct
import sys
import time

TYPE_CHECKING = False  # importing typing would be a third of the start-up
if TYPE_CHECKING:
    from collections.abc import Callable, Set
    from typing import Any

    Prctl = Callable[[int, int], None]

LEFT_GRACE_S = 0.2  # for what a step left behind, between SIGTERM and SIGKILL
KILL_PATIENCE_S = 10.0  # then a process that cannot be killed (state D, another user's) is named and given up
CHUNK = 1 << 16
KEEP = 1 << 16  # bytes of stdout that are handed back when the runner asked for them

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

_all_signals = [s for s in signal.valid_signals() if s not in (signal.SIGKILL, signal.SIGSTOP)]


# --- messages ------------------------------------------------------------------------------------


def send(fd: int, message: tuple[Any, ...]) -> None:
    body = marshal.dumps(message)
    view = memoryview(struct.pack("=I", len(body)) + body)
    while view:
        view = view[os.write(fd, view) :]


def receive(fd: int) -> tuple[Any, ...] | None:
    """The next message, or None when the other end is gone."""
    head = _read_exactly(fd, 4)
    body = _read_exactly(fd, struct.unpack("=I", head)[0]) if head else None
    return marshal.loads(body) if body else None


def _read_exactly(fd: int, size: int) -> bytes | None:
    parts = []
    while size:
        try:
            part = os.read(fd, min(size, CHUNK))
        except ConnectionResetError:
            return None
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


# --- the kernel's help -----------------------------------------------------------------------------


def _load_prctl() -> Prctl:
    if not sys.platform.startswith("linux"):
        return lambda option, value: None
    import ctypes  # only the zygote needs it, and it is slow to import

    libc = ctypes.CDLL(None, use_errno=True)

    def prctl(option: int, value: int) -> None:
        libc.prctl(option, value, 0, 0, 0)

    return prctl


def wake_on_signals(*numbers: int) -> int:
    """A descriptor that becomes readable when one of these signals arrives; it yields their numbers as bytes."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in numbers:
        signal.signal(number, lambda number, frame: None)
    return reader


def drain(fd: int) -> bytes:
    with contextlib.suppress(BlockingIOError):
        return os.read(fd, 512)
    return b""


# --- trees -------------------------------------------------------------------------------------------


def parents() -> dict[int, int]:
    """Every process of this machine that can be seen, and its parent. Empty where there is no /proc."""
    table: dict[int, int] = {}
    try:
        names = os.listdir("/proc")
    except OSError:
        return table
    for name in names:
        if name.isdigit():
            # A process may be gone by now.
            with (
                contextlib.suppress(OSError, ValueError, IndexError),
                open(f"/proc/{name}/stat", "rb") as file,
            ):
                fields = file.read().rpartition(b")")[2].split()
                if fields[0] != b"Z":
                    table[int(name)] = int(fields[1])
    return table


def descendants(root: int) -> set[int]:
    """All living processes below `root`."""
    below: dict[int, list[int]] = {}
    for pid, parent in parents().items():
        below.setdefault(parent, []).append(pid)
    found: set[int] = set()
    todo = [root]
    while todo:
        for pid in below.get(todo.pop(), ()):
            if pid not in found:
                found.add(pid)
                todo.append(pid)
    return found


def signal_each(pids: set[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def freeze(spare: Set[int] = frozenset()) -> set[int]:
    """Stop everything below this process, until a walk finds nothing new: what is stopped cannot fork."""
    frozen: set[int] = set()
    for _ in range(1000):
        new = descendants(os.getpid()) - frozen - spare
        if not new:
            break
        signal_each(new, signal.SIGSTOP)
        frozen |= new
    return frozen


def kill_below(leader: int | None = None, spare: Set[int] = frozenset()) -> None:
    if leader is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)  # all that can be done where there is no /proc
    signal_each(freeze(spare), signal.SIGKILL)


def describe(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            command = file.read(200).replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        command = ""
    return f"pid {pid}: {command}" if command else f"pid {pid}"


# --- finding the program -----------------------------------------------------------------------------


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


# --- one step ----------------------------------------------------------------------------------------


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


splice = getattr(os, "splice", None)


class Supervisor:
    """One slot: an idle wait for the next job, or one job with its tree."""

    def __init__(self, channel: int, wake: int, environ: dict[str, str]) -> None:
        self.channel = channel
        self.wake = wake
        self.environ = environ
        self.null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self.poll = select.poll()
        self.poll.register(channel, select.POLLIN)
        self.poll.register(wake, select.POLLIN)
        self.folder = ""

    def serve(self) -> None:
        while True:
            for fd, _ in self.poll.poll():
                if fd == self.wake and signal.SIGTERM in drain(self.wake):
                    return
                if fd == self.channel:
                    message = receive(self.channel)
                    if message is None:
                        return
                    if message[0] == "run" and not Job(self, *message[1:]).run():
                        return


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
        logs: tuple[str, str | None],
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
        self.gone = False  # the runner is
        self.left: list[str] = []
        self.deadline: float | None = None  # when to be harder with what is still alive
        self.give_up = 0.0
        self.stuck = False  # something below cannot be killed: the slot is not used again
        self.environ = slot.environ
        if overlay:
            merged = {**slot.environ, **overlay}
            self.environ = {k: v for k, v in merged.items() if v is not None}
        log, apart = logs
        self.both = Sink((log,), keep=apart is not None)
        self.out = Sink((log, apart), keep=True) if apart else self.both

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
                return False
            self.report()
            return not self.stuck
        finally:
            for sink in {self.both, self.out}:
                sink.close()

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
            if stdin != self.slot.null:
                os.close(stdin)

    def spawn(self, program: str, argv: list[str], stdin: int) -> None:
        if self.wrap:
            argv = [*self.wrap, program, *argv[1:]]
            program = argv[0]
        self.pid = os.posix_spawn(
            program,
            argv,
            self.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, stdin, 0),
                (os.POSIX_SPAWN_DUP2, self.out.writer, 1),
                (os.POSIX_SPAWN_DUP2, self.both.writer, 2),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=_all_signals,
        )
        for sink in {self.both, self.out}:
            sink.started()

    def open_stdin(self) -> int:
        if self.stdin is None:
            return self.slot.null
        kind, what = self.stdin
        if kind == "path":
            return os.open(what, os.O_RDONLY | os.O_CLOEXEC)
        fd = os.memfd_create("stdin") if hasattr(os, "memfd_create") else _nameless_file()
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
        open_pipes = set(sinks)
        tree_gone = False
        while not tree_gone and not self.stuck:
            wait = None if self.deadline is None else max(0.0, self.deadline - time.monotonic()) * 1000
            for fd, _ in poll.poll(wait):
                if fd in sinks:
                    if not sinks[fd].move():
                        poll.unregister(fd)
                        open_pipes.discard(fd)
                elif fd == self.slot.channel:
                    self.obey()
                elif signal.SIGTERM in drain(self.slot.wake):
                    self.runner_is_gone()
            tree_gone = self.reap()
        for fd in open_pipes:
            poll.unregister(fd)
            while sinks[fd].move() and not self.stuck and _readable(fd):
                pass

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
        """The step's own process has ended and others are alive: TERM, a moment, KILL; told, unless we stopped it."""
        now = time.monotonic()
        if self.deadline is None:
            if not self.stopped:
                living = sorted(descendants(os.getpid()))
                self.left = [describe(pid) for pid in living[:20]]
                self.signal_all(signal.SIGTERM)
                self.deadline = now + LEFT_GRACE_S
                self.give_up = self.deadline + KILL_PATIENCE_S
        elif now >= self.give_up:
            self.left = [describe(pid) for pid in sorted(descendants(os.getpid()))[:20]]
            self.stuck = True
        elif now >= self.deadline:
            kill_below(self.pid)
            self.deadline = now + 0.02

    # orders

    def obey(self) -> None:
        message = receive(self.slot.channel)
        if message is None:
            self.runner_is_gone()
        elif message[0] == "freeze":
            freeze()
        elif message[0] == "thaw":
            self.signal_all(signal.SIGCONT)
        elif message[0] == "stop" and message[1] == self.number:
            self.reap()
            if self.status is None or self.stopped:
                self.stop(message[2])

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
        below = descendants(os.getpid())
        if not below and self.pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)
        signal_each(below, number)
        if number != signal.SIGCONT:
            signal_each(below, signal.SIGCONT)

    def runner_is_gone(self) -> None:
        self.slot.poll.unregister(self.slot.channel)
        self.gone = True
        self.stop(signal.SIGKILL)

    # reporting

    def report(self, problem: str | None = None) -> None:
        problem = problem or self.both.problem or self.out.problem
        kept = None
        if self.out is not self.both:
            kept = (bytes(self.out.kept), bytes(self.both.kept))
        size = self.both.size + (self.out.size if self.out is not self.both else 0)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            send(
                self.slot.channel,
                (
                    self.number,
                    self.pid,
                    self.status,
                    problem,
                    self.stopped,
                    tuple(self.left),
                    self.usage,
                    kept,
                    size,
                ),
            )


def _readable(fd: int) -> bool:
    return bool(select.select([fd], [], [], 0)[0])


def _nameless_file() -> int:
    import tempfile

    fd, path = tempfile.mkstemp(prefix="stepwave-")
    os.unlink(path)
    return fd


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


# --- the zygote ----------------------------------------------------------------------------------------


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


if __name__ == "__main__":
    main()
