"""Signals as something to read, so that one poll(2) waits for everything."""

import contextlib
import os
import signal


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
