"""Processes that an engine starts share the terminal, and so Ctrl-C and Ctrl-Z. Both are for the runner to hear, and to
pass on."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def deaf() -> Iterator[None]:
    """Threads and processes that are started meanwhile never hear these signals."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTSTP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
