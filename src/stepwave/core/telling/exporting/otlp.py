"""OTLP/HTTP in JSON, as a collector takes it at /v1/traces: one span for the run, one for each attempt.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding - identifiers in hexadecimal, times as decimal texts of
nanoseconds, enums as numbers. Attributes are those of the semantic conventions for CI/CD where there is one, else
`stepwave.…`. The spans are those that the steps were told in TRACEPARENT: what they have traced hangs below them.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from stepwave.core.events import HARMLESS_SKIPS, Outcome, Status
from stepwave.core.telling.exporting.reading import Reading, has_failed, is_failure, why
from stepwave.core.telling.exporting.texts import json_text, shown
from stepwave.core.telling.story import Attempt, StepStory, Story, Wait
from stepwave.core.text import one_line
from stepwave.core.tracing import Trace, trace_of

_INTERNAL, _SERVER = 1, 2
_ERROR = 2
_TEXT_LIMIT = 4000

Object = dict[str, Any]
_run_results = {
    Status.COMPLETED: "success",
    Status.FAILED: "failure",
    Status.TIMEOUT: "timeout",
    Status.CANCELLED: "cancellation",
}
_results = {
    Outcome.COMPLETED: "success",
    Outcome.FAILED: "failure",
    Outcome.TIMEOUT: "timeout",
    Outcome.CANCELLED: "cancellation",
    Outcome.SKIPPED: "skip",
    Outcome.ROLLED_BACK: "success",
}


def as_otlp(reading: Reading) -> Iterator[str]:
    story = reading.story
    trace = trace_of(story.run, reading.traceparent)
    resource = {
        "service.name": "stepwave",
        "service.version": story.stepwave or None,
        "cicd.pipeline.name": _text(story.name),
        "cicd.pipeline.run.id": story.run,
    }
    scope = {"name": "stepwave", **({"version": story.stepwave} if story.stepwave else {})}
    head = json_text({"resource": {"attributes": _attributes(resource)}})
    yield f'{{"resourceSpans":[{head[:-1]},"scopeSpans":[{{"scope":{json_text(scope)},"spans":[\n'
    yield json_text(_of_run(reading, trace))
    lasts = {step.drawn.id: step.attempts[-1].number for step in story.steps if step.attempts}
    for step in story.steps:
        for attempt in step.attempts:
            yield ",\n" + json_text(_of_attempt(reading, trace, step, attempt, lasts))
    yield "\n]}]}]}\n"


def _moment(story: Story, seconds: float) -> str:
    # Not in one product: a double has no room for the nanoseconds since 1970.
    return str(round(story.started_at * 1_000_000) * 1000 + round(seconds * 1_000_000_000))


def _text(text: str) -> str:
    return one_line(text, _TEXT_LIMIT)


# --- the spans ---------------------------------------------------------------------------------------------


def _of_run(reading: Reading, trace: Trace) -> Object:
    story = reading.story
    result = _run_results[story.status] if story.status else None if story.alive else "error"
    known = {
        "cicd.pipeline.result": result,
        "error.type": reading.status() if has_failed(story) else None,
        "stepwave.exit_code": story.exit_code,
        "stepwave.file": _text(reading.path(story.file)) or None,
        "stepwave.max_concurrency": story.max_concurrency,
        "stepwave.resumed_from": story.resumed_from,
        "stepwave.steps": len(story.steps),
    }
    return {
        **_ids(trace, trace.span(), trace.parent),
        "name": f"RUN {_text(story.name)}",
        "kind": _SERVER,
        "startTimeUnixNano": _moment(story, 0.0),
        "endTimeUnixNano": _moment(story, story.wall_s),
        "attributes": _attributes(known),
        "events": [_skip(story, step) for step in story.steps if not step.attempts and step.ended_s is not None],
        "status": _status(has_failed(story), story.reason or reading.status()),
    }


def _ids(trace: Trace, span: str, parent: str) -> Object:
    found: Object = {"traceId": trace.id, "spanId": span, "flags": int(trace.flags, 16)}
    return {**found, "parentSpanId": parent} if parent else found


def _of_attempt(reading: Reading, trace: Trace, step: StepStory, attempt: Attempt, lasts: Mapping[str, int]) -> Object:
    story, drawn = reading.story, step.drawn
    links = [trace.span(need, lasts[need]) for need in drawn.needs if need in lasts]
    is_last = attempt is step.attempts[-1]
    failed = not is_last or (is_failure(step) and not step.tolerated)
    return {
        **_ids(trace, trace.span(drawn.id, attempt.number), trace.span()),
        "name": _text(drawn.id),
        "kind": _INTERNAL,
        "startTimeUnixNano": _moment(story, attempt.begin_s),
        "endTimeUnixNano": _moment(story, reading.end_of(attempt)),
        "attributes": _attributes(_known(reading, step, attempt)),
        "events": [_waiting(story, wait) for wait in step.waits] if attempt is step.attempts[0] else [],
        "links": [{"traceId": trace.id, "spanId": span} for span in links],
        "status": _status(failed, (why(step) if is_last else attempt.reason) or "failed"),
    }


def _known(reading: Reading, step: StepStory, attempt: Attempt) -> Mapping[str, Any]:
    drawn, used = step.drawn, attempt.usage
    is_last = attempt is step.attempts[-1]
    result = "failure" if not is_last else _results[step.outcome] if step.outcome else None
    return {
        "cicd.pipeline.task.name": _text(drawn.name or drawn.id),
        "cicd.pipeline.task.run.id": _text(f"{reading.story.run}/{drawn.id}/{attempt.number}"),
        "cicd.pipeline.task.run.result": result,
        "error.type": result if result in ("failure", "timeout") else None,
        "process.command_args": [shown(word)[:_TEXT_LIMIT] for word in attempt.argv[:100]] or None,
        "process.working_directory": _text(attempt.cwd) or None,
        "process.exit.code": attempt.exit_code,
        "code.file.path": _text(reading.path(drawn.file)) or None,
        "code.line.number": drawn.line if drawn.file and drawn.line else None,
        "stepwave.signal": attempt.signal,
        "stepwave.attempt": attempt.number,
        "stepwave.slot": attempt.slot if attempt.slot >= 0 else None,
        "stepwave.stage": drawn.stage.value,
        "stepwave.wave": drawn.wave,
        "stepwave.state": reading.state(step) if is_last else "retried",
        "stepwave.tolerated": True if step.tolerated else None,
        "stepwave.user_s": used.user_s if used else None,
        "stepwave.system_s": used.system_s if used else None,
        "stepwave.peak_rss_bytes": used.peak_rss_bytes if used else None,
        "log.file.path": _text(reading.log_path(attempt)) or None,
    }


def _status(failed: bool, message: str) -> Object:
    """Success is no status of its own: it is left unset, as the conventions ask."""
    return {"code": _ERROR, "message": _text(message)} if failed else {}


def _waiting(story: Story, wait: Wait) -> Object:
    known = {
        "stepwave.cause": wait.cause.value,
        "stepwave.for": _text(wait.name) or None,
        "stepwave.seconds": round(wait.end_s - wait.begin_s, 6),
    }
    return {"timeUnixNano": _moment(story, wait.begin_s), "name": "waiting", "attributes": _attributes(known)}


def _skip(story: Story, step: StepStory) -> Object:
    """A step that never ran has no span: the run tells of it."""
    harmless_skip = step.reason in HARMLESS_SKIPS
    known = {
        "cicd.pipeline.task.name": _text(step.drawn.id),
        "cicd.pipeline.task.run.result": _results[step.outcome] if step.outcome else None,
        "stepwave.reason": _text(why(step)) or None,
        "stepwave.harmless": harmless_skip if step.outcome is Outcome.SKIPPED else None,
    }
    moment = _moment(story, step.ended_s or 0.0)
    return {"timeUnixNano": moment, "name": "step without a run", "attributes": _attributes(known)}


# --- attributes --------------------------------------------------------------------------------------------


def _attributes(known: Mapping[str, Any]) -> list[Object]:
    return [{"key": name, "value": _value(value)} for name, value in known.items() if value is not None]


def _value(value: object) -> Object:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(one) for one in value]}}
    return {"stringValue": str(value)}
