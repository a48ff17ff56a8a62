"""How a run ends: what has gone wrong so far, and the status and exit code that follow from it."""

from stepwave.core.events import Status


class Verdict:
    """Collects. The first interrupt and the deadline outweigh failures; a failure outweighs everything tolerated."""

    def __init__(self, *, strict: bool) -> None:
        self.failed: list[str] = []
        self.tolerated = 0
        self.interrupt: int | None = None
        self.timed_out = False
        self.reason: str | None = None
        """Why nothing new is started."""
        self._strict = strict

    @property
    def is_good(self) -> bool:
        """So far."""
        return not self.failed and self.interrupt is None and not self.timed_out

    def final(self) -> tuple[Status, int, str | None]:
        """Status, exit code, and the reason in a sentence."""
        if self.interrupt is not None:
            return Status.CANCELLED, 128 + self.interrupt, self.reason
        if self.timed_out:
            return Status.TIMEOUT, 124, self.reason
        if self.failed:
            return Status.FAILED, 1, f"Failed steps: {', '.join(self.failed)}"
        if self._strict and self.tolerated:
            return Status.FAILED, 1, f"{self.tolerated} tolerated failure(s), and --strict tolerates none"
        return Status.COMPLETED, 0, None
