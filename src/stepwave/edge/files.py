"""Reading what a person names, and the folder in which a run keeps what it produces."""

import os
import stat
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from stepwave.core.events import older_log
from stepwave.core.reading.parse import MAX_BYTES

STDIN = "-"

_ignore_all = "# Everything below is made by stepwave and can be deleted.\n*\n"


class CannotRead(Exception):  # noqa: N818 - a sentence for a diagnostic
    """The file cannot be read; the text says why, a lower-case sentence."""


def read_bytes(path: str, *, named_in_file: bool = False) -> bytes:
    """The file's content; standard input for `-`. At most `parse.MAX_BYTES`, plus one that tells of more.

    A path that is `named_in_file`, and not by a person on the command line, is that of an ordinary file: a FIFO would
    be waited for for ever. Raises CannotRead for a path that is missing, no regular file or FIFO, or not readable.
    """
    try:
        if path == STDIN and not named_in_file:
            return sys.stdin.buffer.read(MAX_BYTES + 1)
        with open(path, "rb", opener=_open_at_once if named_in_file else _open_no_wait) as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode) and (named_in_file or not stat.S_ISFIFO(mode)):
                raise CannotRead(f"`{path}` is a {_kind(mode)}, not a file")
            return file.read(MAX_BYTES + 1)
    except IsADirectoryError:
        raise CannotRead(f"`{path}` is a folder, not a file") from None
    except FileNotFoundError:
        raise CannotRead(f"`{path}` does not exist") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise CannotRead(f"`{path}` cannot be read: {reason.lower()}") from None


def _open_no_wait(path: str, flags: int) -> int:
    """A FIFO is waited for, a device is not: opened without blocking, then made to block if it is a FIFO."""
    if stat.S_ISFIFO(os.stat(path).st_mode):  # noqa: PTH116
        return os.open(path, flags)
    return _open_at_once(path, flags)


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "folder"
    if stat.S_ISFIFO(mode):
        return "FIFO"
    return "socket" if stat.S_ISSOCK(mode) else "device"


def folder_of(path: str) -> Path:
    """The absolute folder that relative paths in the file start from: its own, links resolved; for `-` the current one.

    Raises CannotRead when the current folder has been removed.
    """
    try:
        return Path.cwd() if path == STDIN else Path(path).resolve().parent
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise CannotRead(f"the current folder cannot be found: {reason.lower()}") from None


def read_schema(name: str) -> str:
    """The text of a published schema: from the package, or from the checkout that an editable install points to."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "schemas", package.parent.parent / "schemas"):
        file = folder / f"{name}.schema.json"
        if file.is_file():
            return file.read_text("utf-8")
    raise FileNotFoundError(f"{name}.schema.json is missing from this installation")


# --- the run's folder --------------------------------------------------------------------------------


def make_run_folder(beside: Path, environ: Mapping[str, str], run: str) -> Path:
    """Create `<state>/runs/<run>/logs` and return `<state>/runs/<run>`. Folders are 0700.

    `<state>` is STEPWAVE_STATE_DIR, else `.stepwave` in the folder `beside` (with a .gitignore of its own), else, where
    that cannot be written, a folder of the user's state home (XDG Base Directory Specification).
    Raises OSError when none of them can be written.
    """
    problems: list[OSError] = []
    for state in state_folders(beside, environ):
        folder = state / "runs" / run
        try:
            _make(folder / "logs", top=state)
        except OSError as error:
            problems.append(error)
            continue
        with suppress(OSError), open(state / ".gitignore", "x", opener=_open_private) as file:
            file.write(_ignore_all)
        return folder
    raise _no_folder(problems[0])


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _no_folder(problem: OSError) -> OSError:
    reason = "not a folder" if isinstance(problem, FileExistsError) else (problem.strerror or "").lower()
    return OSError(problem.errno, f"the folder for the run's logs cannot be made: {reason}", problem.filename)


def state_folders(beside: Path, environ: Mapping[str, str]) -> list[Path]:
    if named := environ.get("STEPWAVE_STATE_DIR"):
        return [Path(named).expanduser().resolve()]
    home = environ.get("XDG_STATE_HOME") or (f"{environ['HOME']}/.local/state" if "HOME" in environ else None)
    return [beside / ".stepwave", *([Path(home) / "stepwave"] if home else [])]


def known_states(beside: Path, environ: Mapping[str, str]) -> list[Path]:
    """The same for whoever looks: where a run would leave its record now comes first, and is the only one where that
    is the first of them: what lies at home is then of other projects. One that may not be written is that of somebody
    else, or of a time when it might be.
    """
    first, *others = state_folders(beside, environ)
    if os.access(first if first.is_dir() else first.parent, os.W_OK):
        return [first]
    return [*others, first] if first.is_dir() else [first, *others]


def _make(folder: Path, top: Path) -> None:
    """mkdir -p; what is new from `top` downwards gets 0700, whatever the umask."""
    top.parent.mkdir(parents=True, exist_ok=True)
    for made in (top, top / "runs", folder.parent, folder):
        with suppress(FileExistsError):
            made.mkdir(mode=0o700)
            made.chmod(0o700)


def run_id(now: float) -> str:
    """`20260131-142503-7f3a9c`: sorts by time; the rest keeps runs apart that start in one second.

    `now` in seconds since the epoch.
    """
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{os.urandom(3).hex()}"


def tail(path: Path, lines: int, limit: int = 64 * 1024) -> tuple[str, ...]:
    """The last lines of a log, read from its last `limit` bytes; empty when there is no such file."""
    end = _end(path, limit)
    if len(end) < limit:  # perhaps because it has been turned over
        end = _end(Path(older_log(str(path))), limit - len(end)) + end
    if not end:
        return ()
    text = end.decode("utf-8", "replace")
    return tuple(text.replace("\r\n", "\n").removesuffix("\n").split("\n")[-lines:])


def _end(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - limit))
            return file.read(limit)
    except OSError:
        return b""


def head_text(path: Path, limit: int = 64 * 1024) -> str | None:
    """The beginning of a log as text, as far as it is kept, or None when there is no such file."""
    older = _beginning(Path(older_log(str(path))), limit) or b""
    newest = _beginning(path, limit - len(older))
    return None if newest is None else (older + newest).decode("utf-8", "replace")


def _beginning(path: Path, limit: int) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(limit)
    except OSError:
        return None
