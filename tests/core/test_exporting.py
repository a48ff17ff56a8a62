"""A run in the forms that other programs read: what stands in them."""

import csv
import json
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from stepwave.core.events import Outcome, Status
from stepwave.core.telling.exporting import FORMATS, export
from stepwave.core.telling.exporting.findings import annotations
from stepwave.core.telling.exporting.markdown import TABLE_ROWS
from stepwave.core.telling.exporting.mermaid import MAX_STEPS, as_mermaid, is_drawable
from stepwave.core.telling.exporting.reading import Reading, Tail
from stepwave.core.telling.exporting.rows import COLUMNS
from stepwave.core.telling.exporting.trace_events import TRACKS
from stepwave.core.telling.story import Attempt, Cause, Drawn, PoolStory, StepStory, Story, Wait
from tests.core import stories
from tests.core.stories import BEGAN_AT, RUN

SCHEMA = json.loads((Path(__file__).resolve().parents[2] / "schemas/run.schema.json").read_text("utf-8"))
STORIES = {
    "mixed": stories.mixed(),
    "running": stories.running(),
    "died": stories.died(),
    "large": stories.layered(300),
    "empty": stories.story(),
}
each_story = pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)


def text(story: Story, format: str, **beside: Any) -> str:
    return "".join(export(Reading(story, **{"root": "/w", **beside}), format))


def document(story: Story, format: str, **beside: Any) -> Any:
    return json.loads(text(story, format, **beside))


@each_story
@pytest.mark.parametrize("format", FORMATS)
def test_every_run_has_every_form(story: Story, format: str) -> None:
    assert text(story, format).endswith("\n")
    assert text(story, format) == text(story, format)


def test_there_is_no_other_form() -> None:
    with pytest.raises(ValueError, match="one of perfetto, chrome-trace, junit, csv, json, otlp-json, sarif"):
        export(Reading(stories.mixed()), "yaml")


# --- json --------------------------------------------------------------------------------------------------


@each_story
def test_the_document_is_what_its_schema_says(story: Story) -> None:
    Draft7Validator.check_schema(SCHEMA)
    Draft7Validator(SCHEMA).validate(document(story, "json"))


def test_the_schema_has_every_field_of_a_story() -> None:
    """Nothing of a story is forgotten, and nothing is described that is not there."""
    shown = document(stories.mixed(), "json")
    assert set(shown) == set(SCHEMA["properties"]) == set(SCHEMA["required"])
    step = SCHEMA["definitions"]["step"]
    assert set(shown["steps"][0]) == set(step["properties"]) == set(step["required"])
    fields = {field for kind in (StepStory, Drawn) for field in kind._fields} - {"drawn"}
    assert len(step["properties"]) == len(fields) + 1  # and `state`
    for name, kind in (("attempt", Attempt), ("wait", Wait), ("pool", PoolStory)):
        assert len(SCHEMA["definitions"][name]["properties"]) == len(kind._fields)


def test_a_step_in_the_document() -> None:
    step = document(stories.mixed(), "json")["steps"][4]
    assert (step["id"], step["state"], step["resources"], step["needs"]) == ("build", "failed", {"gpu": 1}, ["choose"])
    assert [(one["number"], one["beginS"], one["endS"]) for one in step["attempts"]] == [(1, 2.0, 4.0), (2, 6.0, 7.0)]
    assert step["waits"][2] == {"beginS": 5.0, "endS": 6.0, "cause": "pool", "name": "gpu"}


@pytest.mark.parametrize(
    ("story", "states"),
    [
        (stories.running(), ["completed", "running", "waiting"]),
        (stories.died(), ["completed", "lost", "not started"]),
    ],
)
def test_what_has_not_ended(story: Story, states: list[str]) -> None:
    assert [step["state"] for step in document(story, "json")["steps"]] == states
    assert [row["state"] for row in rows(story)] == states


# --- trace events ------------------------------------------------------------------------------------------


def events(story: Story, phase: str = "") -> list[dict[str, Any]]:
    found = document(story, "perfetto")["traceEvents"]
    return [event for event in found if phase in ("", event["ph"])]


def tracks(story: Story) -> Iterator[list[dict[str, Any]]]:
    slices = sorted(events(story, "X"), key=lambda event: (event["pid"], event["tid"], event["ts"], event["dur"]))
    for key in {(event["pid"], event["tid"]) for event in slices}:
        yield [event for event in slices if (event["pid"], event["tid"]) == key]


@each_story
def test_both_traces_hold_the_same_events(story: Story) -> None:
    assert document(story, "chrome-trace") == events(story)


@each_story
def test_what_shares_a_track_does_not_overlap(story: Story) -> None:
    for track in tracks(story):
        for before, after in pairwise(track):
            assert before["ts"] + before["dur"] <= after["ts"]


@each_story
def test_every_attempt_is_a_slice_and_every_track_has_a_name(story: Story) -> None:
    ran = [event for event in events(story, "X") if event["pid"] != 2]
    assert len(ran) == sum(len(step.attempts) for step in story.steps)
    named = {(event["pid"], event["tid"]) for event in events(story, "M") if event["name"] == "thread_name"}
    assert {(event["pid"], event["tid"]) for event in events(story, "X")} <= named


def test_an_attempt_in_a_trace() -> None:
    one = next(event for event in events(stories.mixed(), "X") if event["name"] == "build (attempt 2)")
    assert (one["pid"], one["tid"], one["ts"], one["dur"], one["cat"]) == (1, 1, 6e6, 1e6, "failed")
    assert one["args"] == {
        "name": "Build <all>",
        "wave": 2,
        "reason": "exit code 3",
        "exitCode": 3,
        "command": "/bin/sh -e -c make",
        "resources": "gpu 1",
        "line": "flow.yaml:12",
        "log": f"/w/.stepwave/runs/{RUN}/logs/0003-build.2.log",
    }


def test_waits_have_tracks_of_their_own() -> None:
    waits = [(e["name"], e["ts"], e["dur"], e["args"]["waits"]) for e in events(stories.mixed(), "X") if e["pid"] == 2]
    assert sorted(waits) == [
        ("build", 4e6, 1e6, "for the next attempt"),
        ("build", 5e6, 1e6, "for pool gpu"),
        ("parts[1]", 2e6, 2e6, "for pool gpu"),
        ("parts[2]", 2e6, 3e6, "for pool gpu"),
    ]


def test_counters_are_the_levels_of_the_pools() -> None:
    counters = [(e["name"], e["ts"], e["args"]) for e in events(stories.mixed(), "C") if e["name"] == "pool gpu (of 1)"]
    assert counters == [("pool gpu (of 1)", at, {"held": held}) for at, held in ((0, 0), (2e6, 1), (7e6, 0))]
    waiting = [e["args"]["steps"] for e in events(stories.mixed(), "C") if e["name"] == "waiting for pool gpu"]
    assert waiting == [2, 1, 1, 0]


@each_story
def test_arrows_lead_from_slice_to_slice(story: Story) -> None:
    slices = events(story, "X")

    def inside(end: dict[str, Any]) -> bool:
        here = [e for e in slices if (e["pid"], e["tid"]) == (end["pid"], end["tid"])]
        return any(e["ts"] <= end["ts"] <= e["ts"] + e["dur"] for e in here)

    begins, ends = events(story, "s"), events(story, "f")
    assert [e["id"] for e in begins] == [e["id"] for e in ends] == list(range(1, len(begins) + 1))
    assert all(map(inside, begins))
    assert all(map(inside, ends))
    ran = {step.drawn.id: step for step in story.steps if step.attempts}
    pairs = [(need, id) for id, step in ran.items() for need in step.drawn.needs if need in ran]
    assert len(begins) == len([pair for pair in pairs if ran[pair[0]].attempts[-1].end_s is not None])


def test_thousands_that_wait_at_once_are_counted_and_not_all_drawn() -> None:
    crowd = tuple(
        stories.ran(stories.drawn(f"s{n}"), n, n + 1.0, waits=(Wait(0.0, float(n), Cause.SLOT, ""),))
        for n in range(1, 5 * TRACKS)
    )
    story = stories.story(*crowd)
    assert len([track for track in tracks(story) if track[0]["pid"] == 2]) == TRACKS
    assert max(e["args"]["steps"] for e in events(story, "C") if e["pid"] == 2) == 5 * TRACKS - 1


spans = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=25)


@settings(deadline=None)
@given(spans)
def test_lanes_hold_every_wait_without_an_overlap(drawn: list[tuple[int, int]]) -> None:
    steps = (
        stories.ran(stories.drawn(f"s{n}"), b + d, b + d, waits=(Wait(float(b), float(b + d), Cause.POOL, "p"),))
        for n, (b, d) in enumerate(drawn)
    )
    story = stories.story(*steps)
    test_what_shares_a_track_does_not_overlap(story)
    assert len([e for e in events(story, "X") if e["pid"] == 2]) == sum(took > 0 for _, took in drawn)


# --- junit -------------------------------------------------------------------------------------------------


def cases(story: Story, **beside: Any) -> dict[str, ElementTree.Element]:
    root = ElementTree.fromstring(text(story, "junit", **beside))
    return {case.get("name", ""): case for case in root.iter("testcase")}


def kind(case: ElementTree.Element) -> str:
    return next((tag for tag in ("failure", "error", "skipped") if case.find(tag) is not None), "passed")


@each_story
def test_the_sums_of_suites_are_those_of_their_cases(story: Story) -> None:
    root = ElementTree.fromstring(text(story, "junit"))
    for suite in [root, *root]:
        found = Counter(kind(case) for case in suite.iter("testcase"))
        sums = [int(suite.get(name, "")) for name in ("tests", "failures", "errors", "skipped")]
        assert sums == [found.total(), found["failure"], found["error"], found["skipped"]]
    assert int(root.get("tests", "")) == len(story.steps)


def test_what_becomes_of_a_step_in_junit() -> None:
    kinds = {name: kind(case) for name, case in cases(stories.mixed()).items()}
    assert kinds == {
        **dict.fromkeys(("fetch", "docs", "lint", "choose", "parts", "parts[1]", "parts[2]"), "passed"),
        "build": "failure",
        **dict.fromkeys(("rest", "ship", "tidy"), "skipped"),  # what is tolerated fails no pipeline
    }
    assert {name: kind(case) for name, case in cases(stories.died()).items()} == {
        "a": "passed",
        "b": "error",
        "c": "skipped",
    }
    assert {kind(case) for case in cases(stories.running()).values()} == {"passed", "skipped"}


def test_a_failure_in_junit() -> None:
    tails = {"logs/0003-build.2.log": Tail(("one", "\x1b[31mtwo\x1b[0m"), whole=False)}
    case = cases(stories.mixed(), tails=tails)["build"]
    properties = {one.get("name"): one.get("value") for one in case.iter("property")}
    assert (case.get("classname"), case.get("time"), case.get("file"), case.get("line")) == (
        *("flow", "3.000"),
        *("flow.yaml", "12"),
    )
    assert properties == {
        "name": "Build <all>",
        "needs": "choose",
        "resources": "gpu 1",
        "attempts": "2",
        "exit code": "3",
        "attempt 1": "exit code 3",
    }
    failure = case.find("failure")
    assert failure is not None
    assert (failure.get("message"), failure.get("type")) == ("failed: exit code 3", "failed")
    assert "at flow.yaml:12\n" in (failure.text or "")
    assert case.findtext("system-out") == "(the last 2 lines)\none\ntwo\n"


# --- csv ---------------------------------------------------------------------------------------------------


def rows(story: Story) -> list[dict[str, str]]:
    return list(csv.DictReader(text(story, "csv").splitlines(keepends=True), strict=True))


@each_story
def test_a_row_for_each_attempt(story: Story) -> None:
    found = rows(story)
    assert len(found) == sum(max(len(step.attempts), 1) for step in story.steps)
    assert all(set(row) == set(COLUMNS) for row in found)


def test_the_columns_of_waiting_belong_to_the_attempt_after_it() -> None:
    first, second = [row for row in rows(stories.mixed()) if row["step"] == "build"]
    names = [name for name in COLUMNS if name.startswith("waited")]
    assert [first[name] for name in names] == ["0", "0", "0", "0", "0"]
    assert [second[name] for name in names] == ["2", "1", "0", "0", "1"]
    assert (second["begin_s"], second["end_s"], second["ran_s"], second["attempt"]) == ("6", "7", "1", "2")


# --- otlp --------------------------------------------------------------------------------------------------


def otlp_spans(story: Story, **beside: Any) -> list[dict[str, Any]]:
    (resource,) = document(story, "otlp-json", **beside)["resourceSpans"]
    (scope,) = resource["scopeSpans"]
    return list(scope["spans"])


def attributes(span: dict[str, Any]) -> dict[str, Any]:
    return {one["key"]: next(iter(one["value"].values())) for one in span["attributes"]}


@each_story
def test_a_span_for_the_run_and_one_for_each_attempt(story: Story) -> None:
    run, *rest = otlp_spans(story)
    assert len(rest) == sum(len(step.attempts) for step in story.steps)
    assert {span["traceId"] for span in (run, *rest)} == {run["traceId"]}
    assert len({span["spanId"] for span in (run, *rest)}) == len(rest) + 1
    assert "parentSpanId" not in run
    assert all(span["parentSpanId"] == run["spanId"] for span in rest)
    for span in (run, *rest):
        assert int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])


def test_a_span() -> None:
    run, *rest = otlp_spans(stories.mixed())
    first, second = [span for span in rest if span["name"] == "build"]
    assert (run["kind"], first["kind"]) == (2, 1)
    assert second["startTimeUnixNano"] == str(int(BEGAN_AT * 1000) * 1_000_000 + 6_000_000_000)
    assert second["status"] == {"code": 2, "message": "exit code 3"}
    known = attributes(second)
    assert known["cicd.pipeline.task.run.result"] == "failure"
    assert (known["stepwave.attempt"], known["process.exit.code"], known["stepwave.state"]) == ("2", "3", "failed")
    choose = next(span for span in rest if span["name"] == "choose")
    assert first["links"] == [{"traceId": run["traceId"], "spanId": choose["spanId"]}]
    assert [event["name"] for event in first["events"]] == ["waiting"] * 3
    assert [attributes(event)["cicd.pipeline.task.name"] for event in run["events"]] == ["lint", "rest", "ship"]
    assert run["status"]["code"] == 2
    tidy = next(span for span in rest if span["name"] == "tidy")
    assert tidy["status"] == {}  # tolerated


def test_the_trace_of_the_caller_goes_on() -> None:
    caller = f"00-{'ab' * 16}-{'cd' * 8}-00"
    run, *rest = otlp_spans(stories.mixed(), traceparent=caller)
    assert (run["traceId"], run["parentSpanId"]) == ("ab" * 16, "cd" * 8)
    assert {span["traceId"] for span in rest} == {"ab" * 16}
    assert run["spanId"] == otlp_spans(stories.mixed())[0]["spanId"]


# --- findings ----------------------------------------------------------------------------------------------


def test_failed_steps_at_their_lines() -> None:
    (run,) = document(stories.mixed(), "sarif")["runs"]
    found = [
        (one["ruleId"], one["level"], one["locations"][0]["physicalLocation"]["region"]["startLine"])
        for one in run["results"]
    ]
    assert found == [("step-failed", "error", 12), ("step-failed", "warning", 26)]
    assert "step `build` failed: exit code 3" in run["results"][0]["message"]["text"]


def test_annotations_point_at_the_workflow() -> None:
    tails = {"logs/0003-build.2.log": Tail(("one", "", "100 % \x1b[31mbad\x1b[0m", ""))}
    first, second = annotations(Reading(stories.mixed(), tails, root="/w")).splitlines()
    assert first.endswith("::step `build` failed: exit code 3%0Aone%0A100 %25 bad")
    assert first.startswith("::error file=flow.yaml,line=12,col=1,title=step-failed::step `build` failed: exit code 3")
    assert second.startswith("::warning file=flow.yaml,line=26,")


def test_a_job_has_ten_annotations_at_most() -> None:
    assert len(annotations(Reading(stories.layered(2000))).splitlines()) == 10


def test_nothing_failed_nothing_found() -> None:
    assert annotations(Reading(stories.layered(10))) == ""
    assert document(stories.layered(10), "sarif")["runs"][0]["results"] == []


# --- markdown ----------------------------------------------------------------------------------------------


def test_the_summary() -> None:
    tails = {"logs/0003-build.2.log": Tail(("make: *** no rule", "stop"))}
    shown = text(stories.mixed(), "markdown", tails=tails)
    assert shown.startswith("### ❌ <code>A flow</code> failed in 10.0s\n\n6 completed, 2 failed, 1 reused, 2 skipped.")
    assert "#### ❌ <code>build</code>: <code>exit code 3</code>\n\n<code>flow&#46;yaml&#58;12</code>\n" in shown
    assert "<pre>make: &#42;&#42;&#42; no rule&#10;stop</pre>" in shown
    assert "| <code>fetch</code> | ✅ completed | 2.0s |  |  |\n" in shown
    assert "| <code>build</code> | ❌ failed | 3.0s | 2.0s | <code>exit code 3</code>, 2 attempts |\n" in shown
    assert "```mermaid\nflowchart LR\n" in shown


def test_a_large_summary_is_cut_in_parts() -> None:
    story = stories.layered(3000)
    tails = {step.attempts[-1].log: Tail(("x" * 500,) * 60, whole=False) for step in story.steps}
    whole = text(story, "markdown", tails=tails)
    assert whole.count("\n| <code>step-") == TABLE_ROWS
    assert f"and {3000 - TABLE_ROWS} more steps" in whole
    assert "mermaid" not in whole
    assert whole.count("#### ") == 20
    for room in (100_000, 20_000, 2_000):
        cut = text(story, "markdown", tails=tails, room=room)
        assert len(cut.encode()) <= room
        assert "left out for its size" in cut


def test_a_graph_in_mermaid() -> None:
    lines = list(as_mermaid(Reading(stories.mixed())))
    assert lines[0] == "flowchart LR"
    assert '    n4["build<br/>failed 3.0s"]:::failed' in lines
    assert '    n7["parts#91;1#93;<br/>1.0s"]:::completed' in lines
    assert "    n3 --> n4" in lines
    assert "    n6 -.-> n7" in lines
    assert lines[-1] == "    class n0,n3,n4,n10 critical"
    assert not is_drawable(Reading(stories.layered(MAX_STEPS + 1)))
    assert not is_drawable(Reading(stories.mixed()._replace(sketched=False)))


# --- what is far away --------------------------------------------------------------------------------------


def test_a_run_of_five_thousand_steps_has_every_form() -> None:
    story = stories.layered(5_000)
    for format in FORMATS:
        assert len(text(story, format)) < 15_000_000


def test_paths_below_the_root_are_told_from_there() -> None:
    reading = Reading(stories.mixed(), root="/w")
    assert [reading.path(path) for path in ("/w/a/b", "/way/b", "c")] == ["a/b", "/way/b", "c"]
    assert Reading(stories.mixed()).path("/w/a") == "/w/a"


def test_outcomes_that_are_rare() -> None:
    """Undone, timed out, cancelled while it ran and before."""
    ran = stories.ran
    story = stories.story(
        ran(stories.drawn("undone"), 0.0, 1.0, outcome=Outcome.ROLLED_BACK),
        ran(stories.drawn("late"), 0.0, 1.0, slot=1, outcome=Outcome.TIMEOUT, reason="timed out after 1s"),
        ran(stories.drawn("stopped"), 1.0, 2.0, outcome=Outcome.CANCELLED, reason="cancelled"),
        StepStory(stories.drawn("never"), Outcome.CANCELLED, "cancelled", ended_s=2.0),
        status=Status.CANCELLED,
        exit_code=130,
        reason="interrupted (SIGINT)",
        pools=(PoolStory("", 2, ((0.0, 0),)),),
    )
    kinds = {name: kind(case) for name, case in cases(story).items()}
    assert kinds == {"undone": "skipped", "late": "failure", "stopped": "error", "never": "skipped"}
    results = [attributes(span).get("cicd.pipeline.task.run.result") for span in otlp_spans(story)[1:]]
    assert results == ["success", "timeout", "cancellation"]
    assert attributes(otlp_spans(story)[0])["cicd.pipeline.result"] == "cancellation"
    for format in FORMATS:
        text(story, format)


def test_an_attempt_that_took_no_slot_has_a_track_of_its_own() -> None:
    one = Attempt(1, 0.0, 4.0, -1)
    overlapping = [
        StepStory(stories.drawn(f"each{n}"), Outcome.COMPLETED, ended_s=4.0, attempts=(one,)) for n in (1, 2)
    ]
    found = [(e["pid"], e["tid"]) for e in events(stories.story(*overlapping), "X")]
    assert found == [(3, 1), (3, 2)]
