"""Events and results as documents: what they hold, and that the published schemas describe them exactly."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from stepwave.core.events import (
    Entry,
    Event,
    NewStep,
    Outcome,
    RunFinished,
    RunStarted,
    StageStarted,
    Status,
    StepDecided,
    StepFinished,
    StepsAdded,
    StepStarted,
    StepTested,
    Usage,
)
from stepwave.core.model import Stage
from stepwave.core.summary import Statistics, StepResult, Summary
from stepwave.core.telling.record import event_document, iso_time, result_document

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"
EVENT: dict[str, Any] = json.loads((SCHEMAS / "event.schema.json").read_text("utf-8"))
RESULT: dict[str, Any] = json.loads((SCHEMAS / "result.schema.json").read_text("utf-8"))
KINDS = get_args(Event)


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Values of an annotation; numbers are those that can happen."""
    if hint is float:
        return st.floats(0, 1e6)
    if hint is int:
        return st.integers(1, 10**6)
    origin, parts = get_origin(hint), get_args(hint)
    if origin is tuple:
        some = st.lists(values_of(parts[0]), max_size=3).map(tuple)
        return some if parts[1:] == (...,) else st.tuples(*map(values_of, parts))
    if origin is Mapping:
        return st.dictionaries(values_of(parts[0]), values_of(parts[1]), max_size=3)
    if parts:
        return st.one_of(*map(values_of, parts))
    return instances_of(hint) if hasattr(hint, "_fields") else st.from_type(hint)


def instances_of(kind: type) -> st.SearchStrategy[Any]:
    return st.builds(kind, **{name: values_of(hint) for name, hint in get_type_hints(kind).items()})


events = st.one_of(*map(instances_of, KINDS))
entries = st.builds(Entry, st.integers(1, 10**6), st.floats(0, 4e9), st.floats(0, 1e6), st.text(max_size=5), events)


@given(entries)
def test_every_event_is_what_its_schema_says(entry: Entry) -> None:
    document = event_document(entry)
    Draft7Validator(EVENT).validate(document)
    assert json.loads(json.dumps(document)) == document


@pytest.mark.parametrize("kind", [*KINDS, NewStep], ids=lambda kind: kind.__name__)
def test_the_schema_names_exactly_the_fields_of_an_event(kind: Any) -> None:
    described = EVENT["definitions"][kind.__name__[0].lower() + kind.__name__[1:]]
    assert list(described["properties"]) == described["required"]
    assert [name.lower() for name in described["properties"]] == [field.replace("_", "") for field in kind._fields]


def test_the_names_of_events_are_those_of_the_schema() -> None:
    assert len(EVENT["properties"]["event"]["enum"]) == len(EVENT["allOf"]) == len(KINDS)


def test_an_event_in_full() -> None:
    finished = StepFinished("a", Outcome.FAILED, 2, exit_code=1, duration_s=0.1 + 0.2, usage=Usage(0.5, 0.25, 4096))
    assert event_document(Entry(7, 1767323045.678, 1.5, "r1", finished)) == {
        "v": 1,
        "seq": 7,
        "time": "2026-01-02T03:04:05.678Z",
        "elapsed": 1.5,
        "run": "r1",
        "event": "step-finished",
        "step": "a",
        "outcome": "failed",
        "attempts": 2,
        "exitCode": 1,
        "signal": None,
        "reason": None,
        "tolerated": False,
        "durationS": 0.3,
        "queuedS": 0.0,
        "pid": None,
        "usage": {"userS": 0.5, "systemS": 0.25, "peakRssBytes": 4096},
        "logBytes": 0,
        "stdoutBytes": 0,
        "takenFrom": None,
    }


def test_containers_are_those_of_json() -> None:
    started = event_document(Entry(1, 0.0, 0.0, "r", RunStarted("w", "W", (("a", "b"), ("c",)), 2, 4, {"cpu": 2})))
    assert started["waves"] == [["a", "b"], ["c"]]
    assert started["pools"] == {"cpu": 2}
    step = event_document(Entry(2, 0.0, 0.0, "r", StepStarted("a", 1, ("ls", "-l"), "/w", {"A": None})))
    assert (step["event"], step["argv"], step["env"]) == ("step-started", ["ls", "-l"], {"A": None})
    added = StepsAdded((NewStep("f[a]", "F", "f", 1, ("x",), (("cpu", 2),)), NewStep("u", "", "a", 2)))
    assert event_document(Entry(3, 0.0, 0.0, "r", added))["steps"] == [
        {
            "id": "f[a]", "name": "F", "after": "f", "wave": 1, "needs": ["x"], "resources": [["cpu", 2]],
            "stage": "main",
        },
        {"id": "u", "name": "", "after": "a", "wave": 2, "needs": [], "resources": [], "stage": "main"},
    ]  # fmt: skip
    stage = event_document(Entry(3, 0.0, 0.0, "r", StageStarted(Stage.FINALLY, ("z",))))
    assert (stage["event"], stage["stage"], stage["steps"]) == ("stage-started", "finally", ["z"])
    end = event_document(Entry(3, 0.0, 0.0, "r", RunFinished(Status.CANCELLED, 130)))
    assert (end["status"], end["exitCode"]) == ("cancelled", 130)


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1.0005, "1970-01-01T00:00:01.000Z"),
        (951782400.999, "2000-02-29T00:00:00.999Z"),
    ],
)
def test_times_are_utc_with_milliseconds(at: float, text: str) -> None:
    assert iso_time(at) == text


# --- the result ------------------------------------------------------------------------------------

NONE = Statistics(0, 0, 0, {}, {}, {}, 0.0, 0, (), 0.0)


def summary(
    *steps: StepResult, status: Status = Status.FAILED, exit_code: int = 1, reason: str | None = None
) -> Summary:
    return Summary("w", "W", "r1", status, exit_code, reason, 1767323045.0, 2.5, steps, NONE)


def failed(id: str, outcome: Outcome = Outcome.FAILED, tolerated: bool = False) -> StepResult:
    return StepResult(id, id, outcome, 0, 1, reason="exit code 1", tolerated=tolerated)


def test_a_result_in_full() -> None:
    done = StepResult(
        "a", "A", Outcome.COMPLETED, 0, 1, 0, started_s=0.25, ended_s=1.5, duration_s=1.25, queued_s=0.0104, pid=42,
        stdout_log="logs/1-a.out", stderr_log="logs/1-a.log",
    )  # fmt: skip
    skipped = StepResult("b", "B", Outcome.SKIPPED, 1, reason="Skipped due to condition")
    statistics = Statistics(2, 1, 1, {"cpu": 1 / 3}, {"cpu": 0.5}, {"cpu": 0.0125}, 1.25, -100, ("a",), 1.25)
    run = Summary("w", "W", "r1", Status.COMPLETED, 0, None, 1767323045.0, 2.5, (done, skipped), statistics)
    document = result_document(run, "/state/runs/r1", {"a": "hello\n"})
    Draft7Validator(RESULT).validate(document)
    assert document == {
        "workflowId": "w",
        "runId": "r1",
        "success": True,
        "status": "completed",
        "error": None,
        "executionTime": 2500,
        "stepResults": {
            "a": {
                "success": True,
                "status": "completed",
                "output": "hello\n",
                "error": None,
                "executionTime": 1250,
                "parallelGroup": 0,
                "exitCode": 0,
                "signal": None,
                "pid": 42,
                "attempts": 1,
                "startedAt": "2026-01-02T03:04:05.250Z",
                "endedAt": "2026-01-02T03:04:06.500Z",
                "queueMs": 10,
                "stdoutPath": "/state/runs/r1/logs/1-a.out",
                "stderrPath": "/state/runs/r1/logs/1-a.log",
                "tolerated": False,
                "skipReason": None,
            },
            "b": {
                "success": True,
                "status": "skipped",
                "output": None,
                "error": "Skipped due to condition",
                "executionTime": 0,
                "parallelGroup": 1,
                "exitCode": None,
                "signal": None,
                "pid": None,
                "attempts": 0,
                "startedAt": None,
                "endedAt": None,
                "queueMs": 0,
                "stdoutPath": None,
                "stderrPath": None,
                "tolerated": False,
                "skipReason": "Skipped due to condition",
            },
        },
        "parallelStats": {
            "totalGroups": 2,
            "executedGroups": 1,
            "maxConcurrentSteps": 1,
            "resourceUtilization": {"cpu": 0.3333},
            "peakResourceUtilization": {"cpu": 0.5},
            "resourceWaitMs": {"cpu": 12},
            "sequentialTimeMs": 1250,
            "timeSavedPercent": -100,
            "criticalPath": ["a"],
            "criticalPathMs": 1250,
        },
        "metadata": {},
    }


def test_particulars_stand_only_where_there_are_any() -> None:
    tests = (
        StepTested("a", 2, "unit", True, duration_s=0.25),
        StepTested("a", 2, "style", False, "exit code 1", 1.0, "logs/1-a.2.log", 7),
    )
    steps = (
        failed("a")._replace(tests=tests),
        StepResult("choose", "", Outcome.COMPLETED, 0, decision=StepDecided("choose", True, ("a", "b"))),
        StepResult("doubt", "", Outcome.COMPLETED, 0, decision=StepDecided("doubt", False, (), "no such name")),
        StepResult("deploy", "", Outcome.ROLLED_BACK, 1),
        StepResult("deploy.undo", "", Outcome.COMPLETED, 2, stage=Stage.ROLLBACK, after="deploy"),
    )
    document = result_document(summary(*steps), "/state/runs/r1", {})
    Draft7Validator(RESULT).validate(document)
    common = list(result_document(summary(failed("x")), "/r", {})["stepResults"]["x"])
    particular = {
        id: {key: value for key, value in result.items() if key not in common}
        for id, result in document["stepResults"].items()
    }
    assert particular == {
        "a": {
            "tests": [
                {"id": "unit", "passed": True, "error": None, "executionTime": 250, "logPath": None},
                {
                    "id": "style",
                    "passed": False,
                    "error": "exit code 1",
                    "executionTime": 1000,
                    "logPath": "/state/runs/r1/logs/1-a.2.log",
                },
            ]
        },
        "choose": {"conditionResult": True, "triggeredSteps": ["a", "b"]},
        "doubt": {"conditionResult": False, "triggeredSteps": [], "evaluationError": "no such name"},
        "deploy": {"rolledBack": True},
        "deploy.undo": {"stage": "rollback", "after": "deploy"},
    }
    assert document["stepResults"]["deploy"]["status"] == "rolled_back"
    assert document["stepResults"]["deploy"]["success"] is False


@pytest.mark.parametrize(
    ("run", "error"),
    [
        (summary(failed("a"), failed("t", tolerated=True), failed("b", Outcome.TIMEOUT)), "Failed steps: a, b"),
        (summary(failed("t", tolerated=True), reason="tolerated failures"), "Failed steps: t"),
        (summary(failed("t", tolerated=True), status=Status.COMPLETED, exit_code=0), None),
        (summary(failed("a"), status=Status.TIMEOUT, exit_code=124, reason="timed out after 2s"), "timed out after 2s"),
        (summary(status=Status.CANCELLED, exit_code=130), "the run ended as cancelled"),
    ],
)
def test_the_error_of_a_run_names_who_is_to_blame(run: Summary, error: str | None) -> None:
    assert result_document(run, "/r", {})["error"] == error


statistics = instances_of(Statistics).map(lambda some: some._replace(time_saved_percent=some.time_saved_percent % 101))
shares = st.dictionaries(st.text(max_size=2), st.floats(0, 1), max_size=2)
summaries = st.builds(
    lambda run, steps, some, share: run._replace(
        steps=tuple(steps), statistics=some._replace(utilization=share, peak_utilization=share)
    ),
    st.builds(summary, reason=st.none() | st.text(max_size=3), exit_code=st.integers(0, 143)),
    st.lists(instances_of(StepResult), max_size=3, unique_by=lambda step: step.id),
    statistics,
    shares,
)


@given(summaries)
def test_every_result_is_what_its_schema_says(run: Summary) -> None:
    document = result_document(run, "/r", {})
    Draft7Validator(RESULT).validate(document)
    assert list(document["stepResults"]) == [step.id for step in run.steps]


def test_the_schema_names_exactly_the_keys_of_a_result() -> None:
    document = result_document(summary(failed("a")), "/r", {})
    described = RESULT["definitions"]
    assert list(RESULT["properties"]) == RESULT["required"] == list(document)
    assert described["stepResult"]["required"] == list(document["stepResults"]["a"])
    decided = StepDecided("all", False, (), "why")
    everything = StepResult(
        "all", "", Outcome.ROLLED_BACK, 0, decision=decided, tests=(StepTested("all", 1, "t", True),),
        stage=Stage.CHECK, after="a", taken_from="r0",
    )  # fmt: skip
    full = result_document(summary(everything), "/r", {})["stepResults"]["all"]
    assert list(described["stepResult"]["properties"]) == list(full)
    assert list(described["test"]["properties"]) == list(full["tests"][0])
    assert list(described["parallelStats"]["properties"]) == list(document["parallelStats"])
    whole = [described[name] for name in described if name != "stepResult"]
    assert all(part["required"] == list(part["properties"]) for part in whole)
