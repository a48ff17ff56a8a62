"""The environment that the caller really gave us."""

import os
from contextlib import suppress
from pathlib import Path


def caller_environment() -> dict[str, str]:
    """`os.environ` without what Python itself put there.

    In the C locale Python sets LC_CTYPE=C.UTF-8 before anything else runs (PEP 538); a step must not inherit that.
    """
    environ = dict(os.environ)
    if environ.get("LC_CTYPE") == "C.UTF-8":
        with suppress(OSError):  # no /proc: then it stays
            first = Path("/proc/self/environ").read_bytes().split(b"\0")
            if not any(entry.startswith(b"LC_CTYPE=") for entry in first):
                del environ["LC_CTYPE"]
    return environ
