"""What falls due while a run goes on, and what becomes of it then."""

from stepwave.core.events import Outcome
from stepwave.core.model import Stage
from stepwave.core.running.alarms import Alarm, Due
from stepwave.core.running.books import Books
from stepwave.core.running.pace import Pace
from stepwave.core.running.stopping import Stopping
from stepwave.core.running.track import Phase, Track
from stepwave.core.text import duration


class Bell:
    """`ring` before anything else is looked at: what has been due for a while comes first."""

    def __init__(self, books: Books, stopping: Stopping, pace: Pace) -> None:
        self._books = books
        self._stopping = stopping
        self._pace = pace

    def ring(self, stage: Stage) -> None:
        """`stage` is that of the run."""
        alarms, now = self._books.alarms, self._books.now
        while (alarm := alarms.first) and alarm.at <= now:
            alarms.drop()
            if alarm.due is Due.DEADLINE:
                self._stopping.out_of_time(stage)
            elif alarm.due is Due.GAP:
                self._pace.gap_is_over()
            elif alarm.due in (Due.MEASURE, Due.MEMORY):
                self._pace.measure(alarm.due)
            else:
                self._fall_due(alarm, self._books.tracks[alarm.step])
        # One whose step has ended is dropped early, so that the run does not wake up for nothing.
        while (alarm := alarms.first) and alarm.step and self._books.tracks[alarm.step].phase is Phase.DONE:
            alarms.drop()

    def _fall_due(self, alarm: Alarm, track: Track) -> None:
        if track.turn != alarm.turn:
            return
        if alarm.due is Due.TIMEOUT and track.phase is Phase.RUNNING:
            self._books.stop(track, Outcome.TIMEOUT, f"timed out after {duration(track.limit_s or 0.0)}")
        elif alarm.due is Due.FORCE and track.phase is Phase.STOPPING:
            self._books.force(track)
        elif alarm.due is Due.RETRY and track.phase is Phase.RETRYING:
            self._books.make_ready(track)
        elif alarm.due is Due.LEASE and track.phase is Phase.READY:
            self._books.ask_again(track.step.id)
