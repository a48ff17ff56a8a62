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


def send(fd: int, message: tuple[Any, ...]) -> None:
    body = marshal.dumps(message)
    view = memoryview(len(body).to_bytes(HEAD, sys.byteorder) + body)
    while view:
        view = view[os.write(fd, view) :]


def receive(fd: int) -> tuple[Any, ...] | None:
    """The next message, or None when the other end is gone."""
    return _rest(fd, _read(fd, HEAD))


def receive_alone(fd: int) -> tuple[Any, ...] | None:
    """As `receive`, in one turn where it comes in one piece: from an end that waits after each message."""
    return _rest(fd, _read(fd, CHUNK))


def _rest(fd: int, data: bytes) -> tuple[Any, ...] | None:
    """The message that begins with `data`."""
    while len(data) < HEAD or len(data) < HEAD + _size(data):
        missing = (_size(data) if len(data) >= HEAD else 0) + HEAD - len(data)
        part = _read(fd, min(missing, CHUNK)) if data else b""
        if not part:
            return None
        data += part
    message: tuple[Any, ...] = marshal.loads(data[HEAD:])
    return message


def _size(data: bytes) -> int:
    return int.from_bytes(data[:HEAD], sys.byteorder)


def _read(fd: int, size: int) -> bytes:
    try:
        return os.read(fd, size)
    except ConnectionResetError:
        return b""
