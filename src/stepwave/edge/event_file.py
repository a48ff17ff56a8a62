"""`--events FILE`: the event stream as NDJSON, a line as soon as it happens."""

import json
from pathlib import Path

from stepwave.core.events import Entry
from stepwave.core.telling.record import event_document


class EventFile:
    """Raises OSError when the file cannot be opened, and from `see` when it cannot be written."""

    refresh_s: float | None = None

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failed = False
        # Line-buffered: a reader of a running workflow sees whole lines, and a killed one leaves whole lines.
        self._file = path.open("w", encoding="utf-8", errors="backslashreplace", buffering=1)
        self._encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

    def see(self, entry: Entry) -> None:
        try:
            self._file.write(self._encode(event_document(entry)) + "\n")
        except OSError as problem:
            self._failed = True
            raise OSError(problem.errno, problem.strerror, str(self._path)) from None

    def refresh(self) -> None:
        """Nothing to draw."""

    def pause(self) -> None:
        """Nothing on a terminal."""

    def close(self) -> None:
        try:
            self._file.close()
        except OSError:
            if not self._failed:  # else it has been told, and what could not be written is tried again here
                raise
