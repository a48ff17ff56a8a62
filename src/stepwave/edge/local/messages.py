"""What runner and supervisors say to each other: a 4-byte length and a marshalled tuple.

Both ends are the same Python, which is all that marshal asks for.
"""

from __future__ import annotations

import marshal
import os
import sys

TYPE_CHECKING = False  # importing typing would be a third of the start-up
if TYPE_CHECKING:
    from typing import Any

CHUNK = 1 << 16
HEAD = 4  # bytes that say how long the rest is
NUMBER = 8  # bytes of the number of a job


def send(fd: int, message: tuple[Any, ...]) -> None:
    write(fd, framed(message))


def framed(message: tuple[Any, ...]) -> bytes:
    """The message as it is sent."""
    body = marshal.dumps(message)
    return len(body).to_bytes(HEAD, sys.byteorder) + body


def write(fd: int, data: bytes) -> None:
    """All of it, however often that takes."""
    written = os.write(fd, data)
    while written < len(data):
        written += os.write(fd, memoryview(data)[written:])


def receive(fd: int) -> tuple[Any, ...] | None:
    """The next message, or None when the other end is gone."""
    head = _exactly(fd, HEAD)
    body = _exactly(fd, _size(head)) if head else b""
    return marshal.loads(body) if body else None


def receive_all(fd: int) -> list[tuple[Any, ...]] | None:
    """The messages that are there, in one turn where they come in one piece; the last of them is waited for to its end.
    None when the other end is gone."""
    data = _read(fd, CHUNK)
    if not data:
        return None
    messages: list[tuple[Any, ...]] = []
    at = 0
    while at < len(data):
        while len(data) - at < HEAD or len(data) - at - HEAD < _size(data[at : at + HEAD]):
            part = _read(fd, CHUNK)
            if not part:
                return messages or None
            data += part
        end = at + HEAD + _size(data[at : at + HEAD])
        messages.append(marshal.loads(data[at + HEAD : end]))
        at = end
    return messages


def nameless_file() -> int:
    """A file that is known by its descriptor alone."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("stepwave")
    import tempfile

    fd, path = tempfile.mkstemp(prefix="stepwave-")
    os.unlink(path)  # noqa: PTH108
    return fd


def _exactly(fd: int, size: int) -> bytes:
    """So many bytes; none when the other end is gone before."""
    data = b""
    while len(data) < size:
        part = _read(fd, min(size - len(data), CHUNK))
        if not part:
            return b""
        data += part
    return data


def _size(data: bytes) -> int:
    return int.from_bytes(data[:HEAD], sys.byteorder)


def _read(fd: int, size: int) -> bytes:
    try:
        return os.read(fd, size)
    except ConnectionResetError:
        return b""
