"""What runner and supervisors say to each other: a 4-byte length and a marshalled tuple.

Both ends are the same Python, which is all that marshal asks for.
"""

from __future__ import annotations

import marshal
import os
import struct

TYPE_CHECKING = False  # importing typing would be a third of the start-up
if TYPE_CHECKING:
    from typing import Any

CHUNK = 1 << 16


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
