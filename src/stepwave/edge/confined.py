"""The files that expressions may look at: those in the workflow's folder, and no others.

Rule 1: a path is walked part by part, each opened relative to the folder before it, so that nothing that is exchanged
        meanwhile can lead out. A link is followed by hand, and only to what lies in the folder.
Rule 2: only ordinary files are opened, and no more is read of them than 1 MiB: no device, no FIFO that would be
        waited for.
"""

import os
import stat
from contextlib import ExitStack

from stepwave.core.language.scope import FileRefused
from stepwave.core.text import one_line

MAX_BYTES = 1 << 20
MAX_LINKS = 40
MAX_PATH = 4096
_folder_flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_file_flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class ConfinedFiles:
    """See `language.scope.Files`. `folder` is absolute; nothing of it is looked at before it is asked for."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def read_text(self, path: str) -> str:
        """The text of a file, in UTF-8 (with or without a byte order mark). Raises FileRefused."""
        with ExitStack() as closing:
            file, size = self._open(path, closing)
            if size > MAX_BYTES:
                raise _refused(path, "is larger than 1 MiB")
            data = _read(path, file)
        try:
            return data.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
        except UnicodeDecodeError:
            raise _refused(path, "is not UTF-8 text") from None

    def size(self, path: str) -> int:
        """Bytes of a file. Raises FileRefused."""
        with ExitStack() as closing:
            return self._open(path, closing)[1]

    def exists(self, path: str) -> bool:
        """Whether there is a file or a folder. Raises FileRefused for a path that may not be looked at."""
        with ExitStack() as closing:
            return self._find(path, closing) is not None

    def _open(self, path: str, closing: ExitStack) -> tuple[int, int]:
        """An ordinary file, and its size in bytes."""
        found = self._find(path, closing)
        if found is None:
            raise _refused(path, "does not exist")
        folder, name = found
        if not name:
            raise _refused(path, "is a folder, not a file")
        _ask_for_file(path, os.stat(name, dir_fd=folder, follow_symlinks=False))
        try:
            file = os.open(name, _file_flags, dir_fd=folder)
        except OSError as problem:
            raise _unreadable(path, problem) from None
        closing.callback(os.close, file)
        status = os.fstat(file)
        _ask_for_file(path, status)
        return file, status.st_size

    def _find(self, path: str, closing: ExitStack) -> tuple[int, str] | None:
        """The folder in which the last part of the path stands, and that part, links resolved; the part is empty for
        a folder. None when there is no such thing."""
        try:
            return _walk(self._folder, path, closing)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as problem:
            raise _unreadable(path, problem) from None


def _walk(top: str, path: str, closing: ExitStack) -> tuple[int, str]:
    if not path or path.startswith("/") or len(path) > MAX_PATH or not _is_sayable(path):
        raise _refused(path, "is no path within the workflow's folder")
    if ".." in path.split("/"):
        raise _refused(path, "leads out of a folder, and only files of the workflow's folder can be read")
    folders = [_opened(top, None, closing)]
    waiting = [part for part in reversed(path.split("/")) if part not in ("", ".")]
    links = 0
    while waiting:
        part = waiting.pop()
        if part == "..":  # of a link
            folders.pop()
            if not folders:
                raise _refused(path, "leads out of the workflow's folder")
            continue
        kind = os.stat(part, dir_fd=folders[-1], follow_symlinks=False).st_mode
        if stat.S_ISLNK(kind):
            links += 1
            target = os.readlink(part, dir_fd=folders[-1])
            if links > MAX_LINKS or target.startswith("/"):
                raise _refused(path, "leads out of the workflow's folder")
            waiting += [step for step in reversed(target.split("/")) if step not in ("", ".")]
        elif stat.S_ISDIR(kind):
            folders.append(_opened(part, folders[-1], closing))
        elif waiting:
            raise NotADirectoryError
        else:
            return folders[-1], part
    return folders[-1], ""


def _is_sayable(path: str) -> bool:
    """Whether the system can be asked for it at all."""
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False


def _opened(name: str, within: int | None, closing: ExitStack) -> int:
    # The workflow's own folder may be a link.
    flags = _folder_flags if within is not None else _folder_flags & ~os.O_NOFOLLOW
    folder = os.open(name, flags, dir_fd=within)
    closing.callback(os.close, folder)
    return folder


def _read(path: str, file: int) -> bytes:
    """Everything, but no more than what is allowed: the file may be growing."""
    parts: list[bytes] = []
    left = MAX_BYTES + 1
    try:
        while left > 0 and (data := os.read(file, left)):
            parts.append(data)
            left -= len(data)
    except OSError as problem:
        raise _unreadable(path, problem) from None
    if left <= 0:
        raise _refused(path, "is larger than 1 MiB")
    return b"".join(parts)


def _ask_for_file(path: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _refused(path, "is not an ordinary file")


def _refused(path: str, why: str) -> FileRefused:
    return FileRefused(f"`{one_line(path, 100)}` {why}")


def _unreadable(path: str, problem: OSError) -> FileRefused:
    return _refused(path, f"cannot be read: {(problem.strerror or str(problem)).lower()}")
