"""Why a step is where it is, in a sentence."""

from collections.abc import Mapping

from stepwave.core.model import Stage
from stepwave.core.running.admission import Admission
from stepwave.core.running.track import Phase, Track


def why(track: Track, tracks: Mapping[str, Track], admission: Admission, stage: Stage) -> str:
    """`stage` is that of the run."""
    id = track.step.id
    match track.phase:
        case Phase.PENDING:
            return f"`{id}` waits for {_awaited(track, tracks, stage)}"
        case Phase.READY:
            return f"`{id}` is ready and waits: {admission.why_waiting(id)}"
        case Phase.RETRYING:
            return f"`{id}` waits for attempt {track.attempts + 1} of {track.step.retry.attempts}"
        case Phase.GATHERING:
            return f"`{id}` waits for {track.parts_left} of its {len(track.parts)} parts"
        case Phase.DONE:
            return f"`{id}` has ended"
        case _:
            return f"`{id}` is {track.phase.value}"


def _awaited(track: Track, tracks: Mapping[str, Track], stage: Stage) -> str:
    open_needs = [need for need in track.step.needs if tracks[need].phase is not Phase.DONE]
    if open_needs:
        return ", ".join(f"`{need}`" for need in open_needs)
    return "the waves before it" if track.step.stage is stage else "the end of everything before it"
