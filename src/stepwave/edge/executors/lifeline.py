"""How a stop gets to a pool of processes, and how these notice that the runner is gone.

Any `concurrent.futures.Executor` may be the engine, and none has a way to end what it has begun. So each process of a
pool connects, with its first job, to a socket of the runner: there it hears of stops, and reads end of file when the
runner has died. A process on another machine cannot; it looks once a second for a file that says the same in the run's
folder, which it must see then.

Rule 1  End of file means that the runner is gone: what it had at work here is killed, and a process of its pool ends.
Rule 2  One line is one message: `stop <number> <key>` and `freeze|thaw <key> …` down, `silent <key>` up.
Rule 3  Who connects late is told of every stop of a job that has not ended: it may be the one that will have the job.
Rule 4  A process that a pool forks from the runner is told apart from it: it has none of its sockets, does not write to
        its wake-up descriptor when a signal comes, and dies with it, where the system can see to that.
"""

import contextlib
import os
import pickle
import selectors
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from stepwave.core.events import Exited
from stepwave.core.job import Around, Brought, Job
from stepwave.edge.executors.contract import Tell, Work

LOOK_S = 1.0
"""How often a worker of another machine looks for a file that asks it to stop."""


class Line(NamedTuple):
    """Where a worker finds the runner: its socket, the process that owns it, and the machine on which that is."""

    path: str
    pid: int
    host: str


# --- the runner's end -------------------------------------------------------------------------------------------------


class Exchange:
    """Listens, and passes on. `heard` is called, in a thread of its own, with each line that a worker sends."""

    def __init__(self, heard: Callable[[str], None]) -> None:
        self._folder = tempfile.mkdtemp(prefix="stepwave-")  # 0700: nobody else connects; short: a path has 108 bytes
        self.line = Line(f"{self._folder}/runner", os.getpid(), socket.gethostname())
        self._heard = heard
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.line.path)
        self._listener.listen(128)
        self._lock = threading.Lock()
        self._workers: dict[socket.socket, bytes] = {}
        self._stops: dict[str, str] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._ear, self._bell = socket.socketpair()
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._listen, name="stepwave lifeline", daemon=True)
        _exchanges[self.line.path] = self

    def listen(self) -> None:
        """From now on. The pool has been filled: what is forked beside threads may be stuck with their locks."""
        if not self._thread.is_alive():
            self._thread.start()

    def stop(self, key: str, number: int) -> None:
        """To every process of the pool: none knows which of them has the job."""
        with self._lock:
            self._stops[key] = line = f"stop {number} {key}"
        self.say(line)

    def forget(self, key: str) -> None:
        """The job has ended."""
        with self._lock:
            self._stops.pop(key, None)

    def say(self, line: str) -> None:
        with self._lock:
            for worker in self._workers:
                _send(worker, line)

    def heard(self, line: str) -> None:
        self._heard(line)

    def leave(self) -> None:
        """In a forked process: these are the runner's."""
        for end in (self._listener, self._ear, self._bell, *self._workers):
            end.close()

    def _listen(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._ear:
                    return
                if key.fileobj is self._listener:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket):
                    self._read(key.fileobj)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            worker, _ = self._listener.accept()
            with self._lock:
                self._workers[worker] = b""
                for line in self._stops.values():
                    _send(worker, line)
            self._selector.register(worker, selectors.EVENT_READ)

    def _read(self, worker: socket.socket) -> None:
        data = b""
        with contextlib.suppress(OSError):
            data = worker.recv(65536)
        *lines, rest = (self._workers[worker] + data).split(b"\n")
        for line in lines:
            self._heard(line.decode())
        with self._lock:
            self._workers[worker] = rest
            if not data:
                del self._workers[worker]
        if not data:
            self._selector.unregister(worker)
            worker.close()

    def close(self) -> None:
        del _exchanges[self.line.path]
        if self._thread.is_alive():
            self._bell.send(b"!")
            self._thread.join()
        for end in (self._listener, self._ear, self._bell, *self._workers):
            end.close()
        self._selector.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _send(worker: socket.socket, line: str) -> None:
    with contextlib.suppress(OSError):  # it has just ended, and whoever waits for it is told so
        worker.sendall(f"{line}\n".encode())


_exchanges: dict[str, Exchange] = {}
"""Of this process."""


def _part() -> None:
    """Rule 4, in the forked process."""
    if not _exchanges:
        return
    for exchange in _exchanges.values():
        exchange.leave()
    _exchanges.clear()
    if threading.current_thread() is threading.main_thread():
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
    if _forked_by_main and sys.platform.startswith("linux"):
        import ctypes

        ctypes.CDLL(None).prctl(1, int(signal.SIGKILL), 0, 0, 0)  # PR_SET_PDEATHSIG, which a thread's end would send


def _notice() -> None:
    global _forked_by_main  # noqa: PLW0603 - known before the fork only, when there is but one thread
    _forked_by_main = threading.current_thread() is threading.main_thread()


_forked_by_main = False
os.register_at_fork(before=_notice, after_in_child=_part)


def ask(folder: Path, key: str, number: int) -> None:
    """The same for workers of other machines, which look into the run's folder."""
    with contextlib.suppress(OSError):
        stops = folder / "stops"
        stops.mkdir(mode=0o700, exist_ok=True)
        draft = stops / f".{key}"
        draft.write_text(str(number), "ascii")
        draft.rename(stops / key)


# --- the worker's end -------------------------------------------------------------------------------------------------


class Held:
    """What this process has at work for one run, and its connection to the runner; None: it looks into the folder."""

    def __init__(self, work: Work, line: Line) -> None:
        self.work = work
        self.line = line
        self.keys: dict[str, Path] = {}
        self.lock = threading.Lock()
        self.connection: socket.socket | None = socket.socket(socket.AF_UNIX)
        try:
            self.connection.connect(line.path)
        except OSError:
            if line.host == socket.gethostname():
                _end_with(line)  # killed before this process had started
            self.connection.close()
            self.connection = None
        listen = self._look if self.connection is None else self._listen
        threading.Thread(target=listen, name="stepwave lifeline", daemon=True).start()

    def say(self, line: str) -> None:
        if self.connection is not None:
            with self.lock, contextlib.suppress(OSError):
                self.connection.sendall(f"{line}\n".encode())

    def _listen(self) -> None:
        assert self.connection is not None
        with contextlib.suppress(OSError), self.connection.makefile("r") as lines:
            for line in lines:
                word, *rest = line.split()
                if word == "stop":
                    self.work.stop(rest[1], int(rest[0]))
                else:
                    self.work.freeze(tuple(rest), word == "freeze")
        for key in list(self.keys):
            self.work.stop(key, signal.SIGKILL)
        for _ in range(20):  # its sockets are closed some moments before it counts as dead
            _end_with(self.line)
            time.sleep(0.05)

    def _look(self) -> None:
        while True:
            time.sleep(LOOK_S)
            for key, folder in list(self.keys.items()):
                with contextlib.suppress(OSError, ValueError):
                    self.work.stop(key, int((folder / "stops" / key).read_text("ascii")))


def _end_with(line: Line) -> None:
    """Rule 1. As long as the runner lives the pool is being taken down, and whoever owns it sees to its processes."""
    if not _lives(line.pid):
        shutil.rmtree(Path(line.path).parent, ignore_errors=True)  # which the runner could not do any more
        os._exit(1)


def _lives(pid: int) -> bool:
    """A process that nobody has waited for yet is dead all the same."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[0] not in "ZX"
    return True


_held: dict[tuple[int, Line], Held] = {}
_lock = threading.Lock()


def carry_out(work: Work, job: Job, line: Line) -> Brought:
    """What a process of a pool runs."""
    if exchange := _exchanges.get(line.path):  # a pool of threads
        return work.carry_out(job, lambda: exchange.heard(f"silent {job.key}"))
    with _lock:
        held = _held.get((os.getpid(), line)) or _held.setdefault((os.getpid(), line), Held(work, line))
    around: Around = pickle.loads(job.around)
    folder = Path(around.folder)
    if held.connection is None and not (folder / around.token).exists():
        problem = (
            f"{socket.gethostname()} reaches neither the runner nor the folder of the run, so it could not be stopped"
        )
        return Brought(Exited(job.launch.step, job.launch.attempt, problem=problem))
    held.keys[job.key] = folder
    try:
        tell: Tell = lambda: held.say(f"silent {job.key}")  # noqa: E731
        return work.carry_out(job, tell)
    finally:
        del held.keys[job.key]
