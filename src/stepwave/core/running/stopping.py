"""How a run, or a part of it, comes to an early end: after a failure, a signal, the deadline, an open circuit breaker.

Rule 1  What runs is stopped only by a signal, the deadline, or a sibling that does not isolate its errors. After any
        other failure it may end in its own time.
Rule 2  What cleans up (`CLEAN_UP`) is spared by everything that happens before its time has come.
"""

from collections.abc import Iterable

from stepwave.core.events import BreakerOpened, Outcome, RunStopping
from stepwave.core.model import CLEAN_UP, Stage, Workflow
from stepwave.core.running.books import Books, stages_up_to
from stepwave.core.running.track import Phase, Track
from stepwave.core.running.verdict import Verdict
from stepwave.core.text import duration, signal_name

CIRCUIT_OPEN = "circuit_open"
PREVIOUS_FAILURE = "Skipped due to previous failure"

_cancelled = "cancelled"
_waiting = (Phase.PENDING, Phase.READY)


class Stopping:
    """`aborting`: nothing starts but what asks for it. `halting`: no attempt is followed by another one. `cause`: how
    what runs ends now, and why, where the whole run was asked to."""

    def __init__(self, books: Books, workflow: Workflow, verdict: Verdict) -> None:
        self.aborting = False
        self.halting = False
        self.cause: tuple[Outcome, str] | None = None
        self._interrupts = 0
        self._books = books
        self._workflow = workflow
        self._verdict = verdict

    def relent(self) -> None:
        """Cleaning up begins: from here on it is a run of its own."""
        self.aborting = self.halting = False
        self.cause = None
        self._interrupts = 0

    def abort(self, failed: Track) -> None:
        """Start nothing new, let running steps finish; what never started is skipped."""
        if self.halting:
            return
        self.aborting = self.halting = True
        if self._books.left:
            self._say(f"step `{failed.step.id}` failed")
        at_once = failed.step.stage is Stage.CHECK  # nothing has begun: there is nothing to be seen to
        for track in self._up_to(Stage.ACCEPT):
            if track.phase is Phase.RETRYING:
                self.give_up(track, "the run is stopping")
            elif track.phase in _waiting and (at_once or not track.self_deciding):
                self._books.finish(track, Outcome.SKIPPED, PREVIOUS_FAILURE)

    def give_up(self, track: Track, why: str) -> None:
        """A step that waits for its next attempt has failed with the last one."""
        tolerated = track.step.continue_on_error
        reason = f"failed, and not tried again because {why}"
        self._books.finish(track, Outcome.FAILED, reason, passes=tolerated, tolerated=tolerated)
        if tolerated:
            self._verdict.tolerated += 1
        else:
            self._verdict.failed.append(track.step.id)

    def siblings(self, failed: Track) -> None:
        """isolateErrors: false. Same wave: what runs is cancelled, what waits is skipped, shielded steps go on."""
        reason = f"sibling_failed:{failed.step.id}"
        for track in list(self._books.tracks.values()):
            if track.wave != failed.wave or track.step.stage is not failed.step.stage:
                continue
            if track.step.shielded or track.self_deciding:
                continue
            if track.phase is Phase.RUNNING:
                self._books.stop(track, Outcome.CANCELLED, reason)
            elif track.phase is Phase.RETRYING:
                self._books.finish(track, Outcome.CANCELLED, reason)
            elif track.phase in _waiting:
                self._books.finish(track, Outcome.SKIPPED, reason)

    def open_breaker(self, key: str, failures: int) -> None:
        """What shares the circuit breaker and has not started is skipped."""
        self._books.events.append(BreakerOpened(key, failures))
        for track in list(self._books.tracks.values()):
            if track.step.breaker != key:
                continue
            if track.phase is Phase.RETRYING:
                self.give_up(track, "the circuit breaker is open")
            elif track.phase in _waiting:
                self._books.finish(track, Outcome.SKIPPED, CIRCUIT_OPEN)

    def interrupted(self, number: int, stage: Stage) -> None:
        """The first signal stops gently, the next one at once; what cleans up afterwards is not touched by either."""
        self._interrupts += 1
        if self._interrupts > 1:
            for track in self._books.tracks.values():
                if track.phase in (Phase.RUNNING, Phase.STOPPING):
                    self._books.force(track)
            return
        self.halting = True
        reason = f"interrupted ({signal_name(number)})"
        if self._verdict.interrupt is None:  # from here on it is why the run ends as it does
            self._verdict.interrupt, self._verdict.reason = number, reason
        self._say(reason)
        self._cancel(stage, Outcome.CANCELLED, f"{_cancelled} ({signal_name(number)})")

    def out_of_time(self, stage: Stage) -> None:
        """The deadline of the run; what cleans up has limits of its own."""
        if self._verdict.interrupt is not None or self._verdict.timed_out or stage in CLEAN_UP:
            return
        self._verdict.timed_out = self.halting = True
        reason = f"workflow timed out after {duration(self._workflow.timeout_s or 0.0)}"
        self._verdict.reason = reason
        self._say(reason)
        self._cancel(stage, Outcome.TIMEOUT, reason)

    @property
    def is_forced(self) -> bool:
        return self._interrupts > 1

    def _cancel(self, stage: Stage, running: Outcome, reason: str) -> None:
        self.cause = running, reason
        for track in self._up_to(stage if stage in CLEAN_UP else Stage.ACCEPT):
            if track.phase is Phase.RUNNING:
                self._books.stop(track, running, reason)
            elif track.phase in (*_waiting, Phase.RETRYING):
                self._books.finish(track, Outcome.CANCELLED, _cancelled)

    def _up_to(self, stage: Stage) -> Iterable[Track]:
        among = stages_up_to(stage)
        return [track for track in self._books.tracks.values() if track.step.stage in among]

    def _say(self, reason: str) -> None:
        if self._verdict.reason is None:
            self._verdict.reason = reason
        self._books.events.append(RunStopping(reason))
