"""A listener that remembers, and functions that wait for the test."""

import threading
from pathlib import Path
from typing import Self

from stepwave.core.events import Entry, Event
from stepwave.core.plan import Plan

PATIENCE_S = 30.0
"""Longer than anything here takes: only a hang gets there."""


class Ear:
    """Keeps the events of a run: `courtesy=[ear.listen]`."""

    refresh_s = None

    def __init__(self) -> None:
        self.events: list[Event] = []

    def listen(self, plan: Plan, folder: Path) -> Self:
        return self

    def see(self, entry: Entry) -> None:
        self.events.append(entry.event)

    def of(self, step: str) -> list[str]:
        """The names of the events of a step."""
        return [type(event).__name__ for event in self.events if getattr(event, "step", None) == step]

    def refresh(self) -> None: ...

    def pause(self) -> None: ...

    def close(self) -> None: ...


class Stuck:
    """A function that does not come back until it is let go."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self._released = threading.Event()
        self.thread: threading.Thread | None = None

    def __call__(self) -> str:
        self.thread = threading.current_thread()
        self.entered.set()
        assert self._released.wait(PATIENCE_S)
        return "much too late"

    def let_go(self) -> None:
        """And wait until its thread has ended."""
        self._released.set()
        if self.thread is not None:
            self.thread.join(PATIENCE_S)
            assert not self.thread.is_alive()
