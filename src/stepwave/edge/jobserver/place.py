"""Where the tokens are: in the job server of the make that called us, or in one of our own.

What make has handed down is shared with make and all its children, flags included: it is opened anew for ourselves, and
never changed.
"""

import fcntl
import os
import stat
from collections.abc import Mapping
from typing import NamedTuple, Self

from stepwave.core.makeflags import FIFO, Flags, read_flags, say_flags
from stepwave.core.model import nothing
from stepwave.core.text import one_line
from stepwave.edge.jobserver.keeper import TOKEN, remove

VARIABLE = "MAKEFLAGS"
NUMBERS = 98, 99
"""Of the pipe in steps: above all that shell scripts write (`exec 3>log`, `9>lock`, the first ones of `{fd}>`)."""
REMEDY = "put `+` in front of the command in the makefile, as in `+stepwave run ci.yaml`"


class Place(NamedTuple):
    """A job server that is open, as long as it is entered. `reader` and `writer` are nobody else's, and do not block.

    `handed`: descriptors that steps get, each with its number there. `env`: what they find besides. `tokens`: how many
    there are, the implicit one aside, where the server is our own. `litter`: what is to be removed in the end; a folder
    ends with a slash. `jobs`: how many may be at work at a time, everywhere; None: nobody said. `own`: the descriptors
    that are ours to close.
    """

    reader: int
    writer: int
    own: list[int]
    handed: tuple[tuple[int, int], ...] = ()
    env: Mapping[str, str] = nothing
    tokens: int | None = None
    litter: tuple[str, ...] = ()
    jobs: int | None = None

    def close(self) -> None:
        """Nobody works on a token any more. Doing it twice is no harm."""
        while self.own:
            os.close(self.own.pop())
        for path in self.litter:
            remove(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class NotJoined(Exception):  # noqa: N818 - says what happened
    """Make has a job server that cannot be used: a sentence, and what helps."""

    def __init__(self, sentence: str, help: str | None = None) -> None:
        super().__init__(sentence)
        self.help = help


def joined(environ: Mapping[str, str]) -> Place | None:
    """The job server of the make that called us; None when it has none. Raises NotJoined when it cannot be used."""
    flags = read_flags(environ.get(VARIABLE, ""))
    if flags.fifo is not None:
        return _fifo(flags, flags.fifo)
    return None if flags.pipe is None else _pipe(flags, *flags.pipe)


def _fifo(flags: Flags, path: str) -> Place:
    shown = one_line(path, 80)
    try:
        if not stat.S_ISFIFO(os.stat(path).st_mode):  # noqa: PTH116
            raise NotJoined(f"`{shown}`, the job server of make, is no FIFO")
        own = _open_both(path, path)
    except (OSError, ValueError) as problem:
        raise NotJoined(f"the job server of make, `{shown}`, cannot be opened: {_why(problem)}") from None
    return Place(*own, [*own], jobs=flags.jobs)


def _pipe(flags: Flags, reader: int, writer: int) -> Place:
    if not _is_handed_down(reader, os.O_WRONLY) or not _is_handed_down(writer, os.O_RDONLY):
        raise NotJoined("make has a job server, but has not handed it down to this command", REMEDY)
    try:
        own = _open_both(f"/proc/self/fd/{reader}", f"/proc/self/fd/{writer}")
    except OSError as problem:
        raise NotJoined(f"the pipe of make's job server cannot be opened anew: {_why(problem)}") from None
    return Place(*own, [*own], handed=((reader, reader), (writer, writer)), jobs=flags.jobs)


def _is_handed_down(fd: int, other_way: int) -> bool:
    """Whether it is a pipe that can be used this way, and came from whoever started us: what this process has opened
    itself is not inherited by others, whatever its number is."""
    try:
        mode = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE
        return stat.S_ISFIFO(os.fstat(fd).st_mode) and mode != other_way and os.get_inheritable(fd)
    except (OSError, OverflowError, ValueError):
        return False


def _open_both(reader: str, writer: str) -> tuple[int, int]:
    own = os.open(reader, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return own, os.open(writer, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        os.close(own)
        raise


def _why(problem: OSError | ValueError) -> str:
    return (getattr(problem, "strerror", None) or str(problem)).lower()


def served(jobs: int, style: str, environ: Mapping[str, str]) -> Place:
    """A job server of our own, for `jobs` at work at a time, told to steps in this style. Raises OSError when none can
    be made."""
    folder = _own_folder()
    path = f"{folder}tokens"
    own: list[int] = []
    try:
        os.mkfifo(path, 0o600)
        reader, writer = own[:] = _open_both(path, path)
        jobs = 1 + os.write(writer, TOKEN * (jobs - 1))  # a pipe holds 64 KiB at least, a FIFO of many users' 4
        if style != FIFO:
            own += [os.open(path, flags | os.O_CLOEXEC) for flags in (os.O_RDONLY, os.O_WRONLY)]
    except OSError:
        Place(-1, -1, own, litter=(path, folder)).close()
        raise
    env = {VARIABLE: say_flags(environ.get(VARIABLE, ""), jobs, style, path, NUMBERS)}
    handed = tuple(zip(own[2:], NUMBERS, strict=False))
    return Place(reader, writer, own, handed, env, jobs - 1, (path, folder), jobs)


def _own_folder() -> str:
    """One that nobody else may enter, and whose name has no blank: MAKEFLAGS is cut at blanks. It ends with a slash."""
    from tempfile import mkdtemp

    folder = mkdtemp(prefix="stepwave-jobs-")
    if folder.split() != [folder]:
        os.rmdir(folder)  # noqa: PTH106
        folder = mkdtemp(prefix="stepwave-jobs-", dir="/tmp")
    return f"{folder}/"
