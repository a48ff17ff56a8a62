"""Pools that all runs of one user on this machine share: a lock file for each, which a crash frees; no daemon.

Rule 1  A unit is one byte of the pool's file, and who holds a lock on it has the unit: `fcntl(2)` with F_OFD_SETLK. The
        lock belongs to the open file, not to a process: the runner unlocks it, and whoever else has that file open
        (the zygote, the supervisors) keeps it alive after the runner has been killed. It is free once they have killed
        the steps and are gone themselves.
Rule 2  Whoever looks at a pool and takes from it, or joins the queue, holds its gate meanwhile: one more byte.
Rule 3  Who finds nothing free joins the queue with a ticket, and nobody who comes later is served before. A ticket is a
        named pipe, so that somebody who gives back can wake the first in line; locked by its owner, so that one of the
        dead is known; and touched at every try, so that an owner that is stopped (SIGSTOP) keeps nobody waiting.
Rule 4  Tickets sort by the moment at which their step asked, the same in all queues: the oldest is first in all it
        waits for, and so two never wait for each other.
Rule 5  Every run counts with the limit of its own file: it takes nothing that would make more units be in use.

One file with byte locks, and not a file with flock(2) for each unit: a pair of lock and unlock takes 3.7 µs instead of
1.9, but a pool is one descriptor for the helpers to keep, however many units it has, and they have it before the first
step starts.
"""

import errno
import fcntl
import os
import stat
import struct
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

POLL_S = 0.25
"""How often one who waits looks by itself, for units that a crash has freed: nobody wakes it then."""
GONE_S = 2.0
"""Who has not looked for so long is passed over."""
GATE_S = 0.01
"""How soon to look again where somebody else was looking at this very moment."""

_GATE = 1 << 40  # beyond every unit
_lock = "hhqqi4x"  # struct flock of Linux, as Python has it: type, whence, start, length, pid

Range = tuple[int, int]
"""First byte and length."""


class NoHostPools(OSError):  # noqa: N818 - a plain sentence
    """There is no place for pools of the machine. The text is the end of a sentence."""


def folder_of(environ: Mapping[str, str]) -> Path:
    """Where the pools of this user on this machine lie.

    Not $XDG_RUNTIME_DIR: what is started by cron has none, and it is emptied when its user logs out, while runs go on.
    Raises NoHostPools.
    """
    if named := environ.get("STEPWAVE_HOST_DIR"):
        return Path(named).expanduser()
    home = environ.get("XDG_STATE_HOME") or (f"{environ['HOME']}/.local/state" if environ.get("HOME") else None)
    if home is None:
        raise NoHostPools("neither STEPWAVE_HOST_DIR, XDG_STATE_HOME nor HOME says where their locks are to be")
    return Path(home) / "stepwave" / "host" / _machine()


def _machine() -> str:
    """A home folder may be that of several machines."""
    with suppress(OSError):
        if found := Path("/etc/machine-id").read_text("ascii", "replace").strip():
            return quote(found[:64], safe="")
    return quote(os.uname().nodename[:64], safe="") or "localhost"


def make_folder(folder: Path) -> None:
    """Make it, for this user alone. Raises NoHostPools where it is somebody else's, or others may write to it."""
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
    except OSError as problem:
        raise NoHostPools(f"{folder} cannot be made: {(problem.strerror or '').lower()}") from None
    if not stat.S_ISDIR(found.st_mode):
        raise NoHostPools(f"{folder} is not a folder")
    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise NoHostPools(f"{folder} belongs to another user, or others may write to it")


def _file_name(pool: str) -> str:
    name = quote(pool, safe=" ")
    return name if len(name) <= 100 else f"{name[:60]}-{sha256(pool.encode()).hexdigest()[:16]}"


class Ticket:
    """A place in a queue: a named pipe, locked for as long as its owner lives. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        unseen = path.with_name(f".{path.name}")  # until it is locked, or it would look like one of the dead
        os.mkfifo(unseen, 0o600)
        self.fd = os.open(unseen, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        unseen.rename(path)

    def touch(self) -> None:
        """It is alive, and has heard the bell."""
        with suppress(OSError):
            os.utime(self.fd)
        with suppress(BlockingIOError):
            while os.read(self.fd, 512):
                pass

    def tear_up(self) -> None:
        with suppress(OSError):
            self.path.unlink()
        os.close(self.fd)


class HostPool:
    """One pool, and its lender. `limit` is how many units may be in use, counting those of all runs; with `gap_s` a
    unit is to be had no sooner than so many seconds after the last one was given back. `asked` is common to all pools
    of a run: when each of its steps asked first. `other_limit`: what another run that lives says of the same pool.

    Raises NoHostPools: file systems without locks, systems without F_OFD_SETLK.
    """

    def __init__(self, folder: Path, pool: str, limit: int, asked: dict[str, int], gap_s: float = 0.0) -> None:
        if not hasattr(fcntl, "F_OFD_SETLK"):
            raise NoHostPools("this system has no locks on open files (F_OFD_SETLK)")
        self.name = pool
        self._limit = limit
        self._gap_s = gap_s
        self._asked = asked
        self._held: dict[str, list[Range]] = {}
        self._tickets: dict[str, Ticket] = {}
        self._retry_s = POLL_S
        self._queue = folder / f"{_file_name(pool)}.queue"
        self.fd = self._limit_fd = -1
        try:
            make_folder(self._queue)
            self.fd = _open(folder / f"{_file_name(pool)}.units")
            with self._gate():
                pass
            self._limit_fd, self.other_limit = _agree(folder / f"{_file_name(pool)}.limit", limit)
        except OSError as problem:
            self._let_go()
            raise _refusal(folder, problem) from None

    # --- the lender -----------------------------------------------------------------------------------

    @property
    def wait_fd(self) -> int | None:
        return next((ticket.fd for ticket in self._tickets.values()), None)

    @property
    def retry_s(self) -> float | None:
        return self._retry_s

    def try_take(self, step: str, units: int) -> bool:
        self._retry_s = POLL_S
        if step in self._tickets:
            self._tickets[step].touch()
        with self._gate() as is_open:
            if not is_open:
                self._retry_s = GATE_S
                return False
            if self._is_next(step) and (taken := self._take(units)):
                self._held[step] = taken
                self._leave(step)
                self._ring()  # there may be enough left for who comes next
                return True
            self._join(step)
            return False

    def put_back(self, step: str) -> None:
        with self._gate():  # even if it is not to be had: then somebody may be quicker, and nothing else is lost
            self._join(step)
            self._unlock(step)

    def give_back(self, step: str) -> None:
        held, waited = step in self._held, step in self._tickets
        self._asked.pop(step, None)
        if held and self._gap_s:
            self._stamp()
        self._unlock(step)
        self._leave(step)
        if held or waited:
            self._ring()

    def close(self) -> None:
        for step in (*self._held, *self._tickets):
            self.give_back(step)
        self._let_go()

    def _let_go(self) -> None:
        for fd in (self.fd, self._limit_fd):
            if fd >= 0:
                os.close(fd)
        self.fd = self._limit_fd = -1

    # --- units ----------------------------------------------------------------------------------------

    def _take(self, units: int) -> list[Range]:
        """What is locked now; nothing where that would be too much."""
        if self._gap_s and (left_s := self._gap_left_s()) > 0:
            self._retry_s = left_s
            return []
        in_use = sorted([*self._theirs(), *(one for ranges in self._held.values() for one in ranges)])
        if sum(length for _, length in in_use) + units > self._limit:
            return []
        taken = list(_gaps(in_use, units))
        for one in taken:
            self._set(fcntl.F_WRLCK, *one)
        return taken

    def _theirs(self) -> Iterator[Range]:
        """What other runs have locked, in any order."""
        unseen = [(0, _GATE)]
        while unseen:
            start, end = unseen.pop()
            asked = struct.pack(_lock, fcntl.F_WRLCK, os.SEEK_SET, start, end - start, 0)
            kind, _, first, length, _ = struct.unpack(_lock, fcntl.fcntl(self.fd, fcntl.F_OFD_GETLK, asked))
            if kind == fcntl.F_UNLCK:
                continue
            first, after = max(first, start), min(first + length, end)
            yield first, after - first
            # It need not be the first one of all: locks are listed by their owners.
            unseen += [(a, b) for a, b in ((start, first), (after, end)) if a < b]

    def _unlock(self, step: str) -> None:
        for one in self._held.pop(step, ()):
            self._set(fcntl.F_UNLCK, *one)

    def _set(self, kind: int, first: int, length: int) -> None:
        """Raises OSError: EAGAIN or EACCES where somebody else has locked it."""
        fcntl.fcntl(self.fd, fcntl.F_OFD_SETLK, struct.pack(_lock, kind, os.SEEK_SET, first, length, 0))

    @contextmanager
    def _gate(self) -> Iterator[bool]:
        """Whether nobody else looks at the pool now. Never waits."""
        try:
            self._set(fcntl.F_WRLCK, _GATE, 1)
        except OSError as problem:
            if problem.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            yield False
            return
        try:
            yield True
        finally:
            self._set(fcntl.F_UNLCK, _GATE, 1)

    # --- a rate limit: the moment of the last start -----------------------------------------------------

    def _stamp(self) -> None:
        os.pwrite(self.fd, struct.pack("d", time.monotonic()), 0)

    def _gap_left_s(self) -> float:
        found = os.pread(self.fd, 8, 0)
        if len(found) < 8:
            return 0.0
        since_s = time.monotonic() - float(struct.unpack("d", found)[0])
        return self._gap_s - since_s if since_s >= 0 else 0.0  # before this machine was started last

    # --- the queue --------------------------------------------------------------------------------------

    def _is_next(self, step: str) -> bool:
        """Whether nobody who lives, and looks, came before."""
        own = self._tickets[step].path.name if step in self._tickets else self._place(step)
        for name in self._names():
            if name >= own:
                return True
            if self._is_alive(self._queue / name):
                return False
        return True

    def _names(self) -> list[str]:
        with suppress(OSError):  # somebody has deleted it: then there is no queue
            return sorted(path.name for path in self._queue.iterdir() if not path.name.startswith("."))
        return []

    def _place(self, step: str) -> str:
        """The name of a ticket: it sorts by the moment at which the step asked."""
        asked = self._asked.setdefault(step, time.monotonic_ns())
        return f"{asked:020}-{os.getpid()}-{len(self._tickets)}"

    def _is_alive(self, path: Path) -> bool:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return time.time() - os.fstat(fd).st_mtime < GONE_S
        finally:
            os.close(fd)
        with suppress(OSError):
            path.unlink()  # its owner is dead
        return False

    def _join(self, step: str) -> None:
        if step not in self._tickets:
            with suppress(OSError):  # a full disk: then it has no place in the queue, and nothing else is lost
                self._tickets[step] = Ticket(self._queue / self._place(step))

    def _leave(self, step: str) -> None:
        if ticket := self._tickets.pop(step, None):
            ticket.tear_up()

    def _ring(self) -> None:
        """Wake the first in line. One that is stopped does not hear it, and the next one looks by itself."""
        for name in self._names():
            with suppress(OSError):
                fd = os.open(self._queue / name, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
                try:
                    os.write(fd, b"!")
                finally:
                    os.close(fd)
                return


def _gaps(in_use: Iterable[Range], units: int) -> Iterator[Range]:
    """The first so many bytes that lie in none of these ranges, which are in order."""
    at = 0
    for first, length in (*in_use, (_GATE, 0)):
        free = min(units, first - at)
        if free > 0:
            yield at, free
            units -= free
        at = first + length


def _refusal(folder: Path, problem: OSError) -> NoHostPools:
    if isinstance(problem, NoHostPools):
        return problem
    if problem.errno in (errno.ENOLCK, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP):
        return NoHostPools(f"the file system of {folder} knows no locks ({problem.strerror})")
    return NoHostPools(f"{problem.filename or folder}: {(problem.strerror or '').lower()}")


def _agree(path: Path, limit: int) -> tuple[int, int | None]:
    """A descriptor to keep for as long as this run lives, and the limit of another one that lives, where it is another.
    Whoever finds nobody else there writes down its own."""
    fd = _open(path)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(limit).encode(), 0)
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        with suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    with suppress(ValueError):
        theirs = int(os.pread(fd, 20, 0))
        return fd, theirs if theirs != limit else None
    return fd, None


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
