"""What is listened for while a step prints, where the runner asked: the end of it, and how long nothing.

Not part of a plain step, which pays nothing for it.
"""

from __future__ import annotations

TAIL = 1 << 16
"""Bytes of the end of what a step printed."""
OVERSLEPT_S = 1.0
"""Who wakes up so much later than asked stood still meanwhile, and the step with it (a frozen container)."""


class Ear:
    """Both streams of one attempt, taken together. Times are seconds of a monotonic clock.

    `keep_tail`: remember the end. `idle_s`: how long nothing may come.
    """

    def __init__(self, keep_tail: bool, idle_s: float | None) -> None:
        self._keep_tail = keep_tail
        self._tail = bytearray()
        self._idle_s = idle_s
        self._news = True  # the beginning counts as something
        self._due: float | None = None
        self._frozen_at: float | None = None

    def take(self, chunk: memoryview) -> None:
        self._news = True
        if self._keep_tail:
            self._tail += chunk[-TAIL:]
            if len(self._tail) > 2 * TAIL:
                del self._tail[:-TAIL]

    @property
    def tail(self) -> bytes:
        return bytes(self._tail[-TAIL:])

    # silence

    def is_silent(self, now: float) -> bool:
        """True, once, when nothing has come for too long; to be asked after every event, and at `due`."""
        if self._idle_s is None:
            return False
        if self._news:
            self._news = False
            self._due = now + self._idle_s
        due = self.due
        if due is None or now < due:
            return False
        if now >= due + OVERSLEPT_S:
            self._due = now + self._idle_s
            return False
        self.hush()
        return True

    @property
    def due(self) -> float | None:
        """When it will have been silent for too long, unless something comes."""
        return self._due if self._frozen_at is None else None

    def hush(self) -> None:
        """Silence means nothing from here on."""
        self._idle_s = self._due = None

    def freeze(self, now: float) -> None:
        if self._frozen_at is None:
            self._frozen_at = now

    def thaw(self, now: float) -> None:
        if self._frozen_at is not None and self._due is not None:
            self._due += now - self._frozen_at
        self._frozen_at = None
