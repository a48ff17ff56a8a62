"""The end of a log, for whoever shows the last of what a step has printed."""

import os
from pathlib import Path


def end_of(log: Path, limit: int) -> tuple[int, bytes]:
    """How long it is, and its last bytes; nothing of one that cannot be read."""
    try:
        with log.open("rb", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - limit, 0))
            return size, file.read(limit)
    except (OSError, ValueError):
        return 0, b""
