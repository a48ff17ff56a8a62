"""A run as documents for other programs: one per event, and one for the whole result.

`schemas/event.schema.json` and `schemas/result.schema.json` describe them. Rule: the name of a field is the name in
`core.events` in camelCase, unit and all (`duration_s` → `durationS`); the result document keeps the names and whole
milliseconds of the format that it comes from.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from stepwave.core.events import Entry, Outcome, Status, StepTested
from stepwave.core.model import Stage
from stepwave.core.summary import Statistics, StepResult, Summary

EVENT_VERSION = 1


def event_document(entry: Entry) -> dict[str, Any]:
    """One line of an event file, as JSON values. Called for every event of a run: some microseconds each."""
    event = entry.event
    name, names = _shape(type(event))
    return {
        "v": EVENT_VERSION,
        "seq": entry.seq,
        "time": iso_time(entry.at),
        "elapsed": round(entry.elapsed_s, 6),
        "run": entry.run,
        "event": name,
        **{camel: as_values(getattr(event, field)) for field, camel in names},
    }


def iso_time(at: float) -> str:
    """Seconds since the epoch as `2026-01-02T03:04:05.678Z`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


Shape = tuple[str, tuple[tuple[str, str], ...]]
"""The name of a kind of event, `step-started`, and its fields: as they are called here and in the document."""

_shapes: dict[type, Shape] = {}


def _shape(kind: type[Any]) -> Shape:
    if kind not in _shapes:
        words = re.findall("[A-Z][a-z]*", kind.__name__)
        names = tuple((field, _camel(field)) for field in kind._fields)
        _shapes[kind] = "-".join(words).lower(), names
    return _shapes[kind]


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


_plain = frozenset((str, int, bool, type(None)))


def as_values(value: Any) -> Any:
    """As JSON values: named tuples become objects, other tuples lists, enums their value; times whole microseconds."""
    if type(value) in _plain:
        return value
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {key: as_values(item) for key, item in value.items()}
    if hasattr(value, "_fields"):
        return {camel: as_values(getattr(value, field)) for field, camel in _shape(type(value))[1]}
    return [as_values(item) for item in value]


# --- the result ------------------------------------------------------------------------------------


def result_document(summary: Summary, run_folder: str, outputs: Mapping[str, str]) -> dict[str, Any]:
    """What `run --json` prints: every step exactly once, whatever became of it.

    `run_folder` is the absolute path that logs are relative to; `outputs` maps step ids to the text of their stdout.
    """
    return {
        "workflowId": summary.workflow,
        "runId": summary.run,
        "success": summary.success,
        "status": summary.status.value,
        "error": _overall_error(summary),
        "executionTime": _ms(summary.wall_s),
        "stepResults": {
            step.id: _step_result(step, summary.started_at, run_folder, outputs.get(step.id)) for step in summary.steps
        },
        "parallelStats": _parallel_stats(summary.statistics),
        "metadata": dict(summary.metadata),
    }


def _overall_error(summary: Summary) -> str | None:
    """A run that ended for a reason of its own (a deadline, Ctrl-C) tells that; else the steps to blame."""
    if summary.success:
        return None
    failures = summary.failures
    to_blame = [step.id for step in failures if not step.tolerated] or [step.id for step in failures]
    if to_blame and (summary.status is Status.FAILED or summary.reason is None):
        return f"Failed steps: {', '.join(to_blame)}"
    return summary.reason or f"the run ended as {summary.status.value}"


def _step_result(step: StepResult, started_at: float, run_folder: str, output: str | None) -> dict[str, Any]:
    return {
        "success": step.success,
        "status": step.outcome.value,
        "output": output,
        "error": step.reason,
        "executionTime": _ms(step.duration_s),
        "parallelGroup": step.wave,
        "exitCode": step.exit_code,
        "signal": step.signal,
        "pid": step.pid,
        "attempts": step.attempts,
        "startedAt": _moment(started_at, step.started_s),
        "endedAt": _moment(started_at, step.ended_s),
        "queueMs": _ms(step.queued_s),
        "stdoutPath": _path(run_folder, step.stdout_log),
        "stderrPath": _path(run_folder, step.stderr_log),
        "tolerated": step.tolerated,
        "skipReason": step.reason if step.outcome is Outcome.SKIPPED else None,
        **_particulars(step, run_folder),
    }


def _particulars(step: StepResult, run_folder: str) -> dict[str, Any]:
    """What most steps have nothing of, and then do not mention."""
    found: dict[str, Any] = {}
    if step.decision is not None:
        found["conditionResult"] = step.decision.result
        found["triggeredSteps"] = list(step.decision.chosen)
        if step.decision.error is not None:
            found["evaluationError"] = step.decision.error
    if step.tests:
        found["tests"] = [_test(test, run_folder) for test in step.tests]
    if step.outcome is Outcome.ROLLED_BACK:
        found["rolledBack"] = True
    if step.stage is not Stage.MAIN:
        found["stage"] = step.stage.value
    if step.after:
        found["after"] = step.after
    if step.taken_from is not None:
        found["takenFrom"] = step.taken_from
    return found


def _test(test: StepTested, run_folder: str) -> dict[str, Any]:
    return {
        "id": test.test,
        "passed": test.passed,
        "error": test.reason,
        "executionTime": _ms(test.duration_s),
        "logPath": _path(run_folder, test.log or None),
    }


def _parallel_stats(statistics: Statistics) -> dict[str, Any]:
    return {
        "totalGroups": statistics.total_groups,
        "executedGroups": statistics.executed_groups,
        "maxConcurrentSteps": statistics.max_concurrent_steps,
        "resourceUtilization": _shares(statistics.utilization),
        "peakResourceUtilization": _shares(statistics.peak_utilization),
        "resourceWaitMs": {name: _ms(waited) for name, waited in statistics.resource_wait_s.items()},
        "sequentialTimeMs": _ms(statistics.sequential_s),
        "timeSavedPercent": statistics.time_saved_percent,
        "criticalPath": list(statistics.critical_path),
        "criticalPathMs": _ms(statistics.critical_path_s),
    }


def _shares(by_name: Mapping[str, float]) -> dict[str, float]:
    return {name: round(share, 4) for name, share in by_name.items()}


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _moment(started_at: float, offset_s: float | None) -> str | None:
    return None if offset_s is None else iso_time(started_at + offset_s)


def _path(run_folder: str, log: str | None) -> str | None:
    if log is None or log.startswith("/"):  # of the run that stands for the step
        return log
    return f"{run_folder.rstrip('/')}/{log}"
