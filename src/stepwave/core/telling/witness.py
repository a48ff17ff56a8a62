"""A run that is recorded nowhere, remembered as long as it takes to tell of it."""

from stepwave.core.events import Entry, Event
from stepwave.core.plan import Plan
from stepwave.core.summary import Summary
from stepwave.core.telling.retell import Cover, retell
from stepwave.core.telling.sketch import sketch_of
from stepwave.core.telling.story import Story


class Witness:
    """A listener that keeps all events."""

    refresh_s: float | None = None

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._seen: list[tuple[float, Event]] = []

    def see(self, entry: Entry) -> None:
        self._seen.append((round(entry.elapsed_s, 6), entry.event))

    def refresh(self) -> None:
        """Nothing to draw."""

    def pause(self) -> None:
        """Nothing on a terminal."""

    def close(self) -> None:
        """Nothing to let go of."""

    def story(self, summary: Summary, file: str, stepwave: str) -> Story:
        """The run that this is the summary of; `file` is its workflow's, absolute."""
        cover = Cover(
            run=summary.run,
            workflow=summary.workflow,
            name=summary.name,
            file=file,
            folder=summary.folder,
            started_at=summary.started_at,
            stepwave=stepwave,
        )
        return retell(cover, sketch_of(self._plan), self._seen)
