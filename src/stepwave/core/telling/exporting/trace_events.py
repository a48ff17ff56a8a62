"""The Trace Event Format, which ui.perfetto.dev, chrome://tracing and speedscope read: JSON, times in microseconds.

https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU (Trace Event Format, Google)

Process 1 has a track for each slot, with what ran in it; process 2 tracks of waits, apart from running; process 3 what
takes no slot. Counters tell how much of each pool is held, arrows lead from a step to those that needed it.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

from stepwave.core.events import Outcome
from stepwave.core.telling.exporting.reading import Reading, why
from stepwave.core.telling.exporting.texts import json_text
from stepwave.core.telling.record import iso_time
from stepwave.core.telling.story import Attempt, Cause, PoolStory, StepStory, Story, Wait
from stepwave.core.text import harmless, one_line

_SLOTS, _WAITS, _OTHERS = 1, 2, 3
TRACKS = 100
"""So many waits for the same thing are drawn side by side; a counter has them all."""

Event = dict[str, Any]


def as_object(reading: Reading) -> Iterator[str]:
    """The JSON object format, with what is known of the run as a whole."""
    story = reading.story
    about = {
        "run": story.run,
        "workflow": one_line(story.name),
        "startedAt": iso_time(story.started_at),
        "status": reading.status(),
        "stepwave": story.stepwave,
    }
    yield f'{{"displayTimeUnit":"ms","otherData":{_text(about)},"traceEvents":[\n'
    yield from _lines(_events(reading))
    yield "\n]}\n"


def as_array(reading: Reading) -> Iterator[str]:
    """The JSON array format: the events and nothing else."""
    yield "[\n"
    yield from _lines(_events(reading))
    yield "\n]\n"


def _lines(events: Iterable[Event]) -> Iterator[str]:
    between = ""
    for event in events:
        yield between + _text(event)
        between = ",\n"


def _text(value: object) -> str:
    """Perfetto takes the second half of an escaped backslash for the beginning of an escape: `"\\\\"` never ends."""
    return json_text(value).replace("\\\\", "\\u005c")


def _events(reading: Reading) -> Iterator[Event]:
    story, places = reading.story, _places(reading)
    yield from _processes(story)
    yield from _attempts(reading, places)
    yield from _waits(story)
    yield from chain.from_iterable(map(_held, story.pools))
    yield from _skipped(reading)
    yield from _arrows(story, places)


def _us(seconds: float) -> float:
    """Nanoseconds are kept."""
    return round(seconds * 1e6, 3)


def _processes(story: Story) -> Iterator[Event]:
    names = {_SLOTS: one_line(story.name) or "slots", _WAITS: "waiting", _OTHERS: "without a slot"}
    for pid, name in names.items():
        yield {"ph": "M", "pid": pid, "name": "process_name", "args": {"name": name}}
        yield {"ph": "M", "pid": pid, "name": "process_sort_index", "args": {"sort_index": pid}}


def _track(pid: int, tid: int, name: str) -> Iterator[Event]:
    yield {"ph": "M", "pid": pid, "tid": tid, "name": "thread_name", "args": {"name": name}}
    yield {"ph": "M", "pid": pid, "tid": tid, "name": "thread_sort_index", "args": {"sort_index": tid}}


# --- what ran ----------------------------------------------------------------------------------------------


Places = dict[tuple[str, int], tuple[int, int]]
"""Process and track of every attempt that is drawn, by the id of the step and the number of the attempt."""


def _places(reading: Reading) -> Places:
    """What waits for its parts holds no slot; several of them may do so at a time."""
    places: Places = {}
    without: list[Span] = []
    for step in reading.story.steps:
        for attempt in step.attempts:
            if attempt.slot >= 0:
                places[step.drawn.id, attempt.number] = _SLOTS, attempt.slot + 1
            else:
                key = step.drawn.id, attempt.number
                without.append(Span(attempt.begin_s, reading.end_of(attempt), key))
    for tid, lane in enumerate(_lanes(without), 1):
        places |= {span.what: (_OTHERS, tid) for span in lane}
    return places


def _attempts(reading: Reading, places: Places) -> Iterator[Event]:
    for pid, tid in sorted(set(places.values())):
        yield from _track(pid, tid, f"slot {tid}" if pid == _SLOTS else "forEach")
    for step in reading.story.steps:
        for attempt in step.attempts:
            if place := places.get((step.drawn.id, attempt.number)):
                yield _slice(reading, step, attempt, *place)


def _slice(reading: Reading, step: StepStory, attempt: Attempt, pid: int, tid: int) -> Event:
    event: Event = {
        "ph": "X",
        "pid": pid,
        "tid": tid,
        "ts": _us(attempt.begin_s),
        "dur": round(_us(reading.end_of(attempt)) - _us(attempt.begin_s), 3),
        "name": _name(step, attempt),
        "cat": reading.state(step) if attempt is step.attempts[-1] else "retried",
        "args": _about(reading, step, attempt),
    }
    if step.outcome in (Outcome.FAILED, Outcome.TIMEOUT) and not step.tolerated:
        event["cname"] = "terrible"
    return event


def _name(step: StepStory, attempt: Attempt) -> str:
    id = one_line(step.drawn.id)
    return id if attempt.number == 1 else f"{id} (attempt {attempt.number})"


def _about(reading: Reading, step: StepStory, attempt: Attempt) -> Event:
    used = attempt.usage
    drawn = step.drawn
    known = {
        "name": one_line(drawn.name) if drawn.name != drawn.id else None,
        "wave": drawn.wave,
        "reason": one_line(attempt.reason or why(step)) or None,
        "exitCode": attempt.exit_code,
        "signal": attempt.signal,
        "command": harmless(" ".join(attempt.argv))[:1000] or None,
        "resources": ", ".join(f"{one_line(pool, 40)} {units}" for pool, units in drawn.resources) or None,
        "line": f"{one_line(reading.path(drawn.file))}:{drawn.line}" if drawn.file and drawn.line else None,
        "cpuMs": round((used.user_s + used.system_s) * 1000, 3) if used else None,
        "peakRssBytes": used.peak_rss_bytes if used else None,
        "log": one_line(reading.log_path(attempt), 1000) or None,
    }
    return {name: value for name, value in known.items() if value is not None}


def _skipped(reading: Reading) -> Iterator[Event]:
    """Steps that never ran, at the moment of their end."""
    for step in reading.story.steps:
        if not step.attempts and step.ended_s is not None:
            yield {
                "ph": "i",
                "s": "p",
                "pid": _SLOTS,
                "tid": 0,
                "ts": _us(step.ended_s),
                "name": f"{one_line(step.drawn.id)}: {reading.state(step)}",
                "cat": reading.state(step),
                "args": {"reason": one_line(why(step))},
            }


# --- what waited -------------------------------------------------------------------------------------------


class Span(NamedTuple):
    begin_s: float
    end_s: float
    what: Any


def _lanes(spans: Iterable[Span]) -> list[list[Span]]:
    """As few lanes as hold them without an overlap."""
    lanes: list[list[Span]] = []
    for span in sorted(spans, key=lambda span: span[:2]):
        free = next((lane for lane in lanes if lane[-1].end_s <= span.begin_s), None)
        if free is not None:
            free.append(span)
        elif len(lanes) < TRACKS:
            lanes.append([span])
    return lanes


_drawn = (Cause.POOL, Cause.SLOT, Cause.LIMIT, Cause.RETRY)
"""Arrows tell what a step needed."""


def _label(wait: Wait) -> str:
    what = {Cause.POOL: "pool ", Cause.SLOT: "a slot", Cause.LIMIT: "", Cause.RETRY: "the next attempt"}[wait.cause]
    return what if wait.cause in (Cause.SLOT, Cause.RETRY) else f"{what}{one_line(wait.name, 80)}"


def _waits(story: Story) -> Iterator[Event]:
    groups: dict[tuple[Cause, str], list[Span]] = {}
    for step in story.steps:
        for wait in step.waits:
            if wait.cause in _drawn and wait.end_s > wait.begin_s:
                groups.setdefault((wait.cause, wait.name), []).append(Span(wait.begin_s, wait.end_s, (step, wait)))
    tid = 0
    for spans in groups.values():
        label = f"for {_label(spans[0].what[1])}"
        for lane in _lanes(spans):
            tid += 1
            yield from _track(_WAITS, tid, label)
            yield from (_wait(span, tid, label) for span in lane)
        yield from _counted(label, spans)


def _wait(span: Span, tid: int, label: str) -> Event:
    step, wait = span.what
    return {
        "ph": "X",
        "pid": _WAITS,
        "tid": tid,
        "ts": _us(span.begin_s),
        "dur": round(_us(span.end_s) - _us(span.begin_s), 3),
        "name": one_line(step.drawn.id),
        "cat": f"waiting,{wait.cause.value}",
        "args": {"waits": label},
    }


def _counted(label: str, spans: Sequence[Span]) -> Iterator[Event]:
    """How many wait for it."""
    changes: dict[float, int] = {}
    for span in spans:
        changes[span.begin_s] = changes.get(span.begin_s, 0) + 1
        changes[span.end_s] = changes.get(span.end_s, 0) - 1
    count = 0
    for moment in sorted(changes):
        count += changes[moment]
        yield _counter(_WAITS, f"waiting {label}", moment, "steps", count)


def _held(pool: PoolStory) -> Iterator[Event]:
    name = f"pool {one_line(pool.name, 80)}" if pool.name else "slots"
    for moment, units in pool.levels:
        yield _counter(_SLOTS, f"{name} (of {pool.limit})", moment, "held", units)


def _counter(pid: int, name: str, moment: float, series: str, value: int) -> Event:
    return {"ph": "C", "pid": pid, "tid": 0, "ts": _us(moment), "name": name, "args": {series: value}}


# --- what needed what --------------------------------------------------------------------------------------


def _arrows(story: Story, places: Places) -> Iterator[Event]:
    """Flow events: from the end of the last attempt of a need to the beginning of the first attempt."""
    steps = {step.drawn.id: step for step in story.steps}
    number = 0
    for step in story.steps:
        for need in step.drawn.needs:
            before = steps.get(need)
            if before is None or not before.attempts or not step.attempts:
                continue
            last, first = before.attempts[-1], step.attempts[0]
            begin, end = places.get((need, last.number)), places.get((step.drawn.id, first.number))
            if begin and end and last.end_s is not None:
                number += 1
                # Its beginning has to lie inside of the slice that it comes from.
                leaves = max(_us(last.begin_s), round(_us(last.end_s) - 0.001, 3))
                yield _end_of_arrow("s", number, begin, leaves)
                yield {**_end_of_arrow("f", number, end, max(leaves, _us(first.begin_s))), "bp": "e"}


def _end_of_arrow(phase: str, number: int, place: tuple[int, int], ts: float) -> Event:
    return {"ph": phase, "name": "needs", "cat": "needs", "id": number, "pid": place[0], "tid": place[1], "ts": ts}
