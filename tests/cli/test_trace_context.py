"""TRACEPARENT: every attempt of a step is a span of the run's trace."""

import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from stepwave.core.tracing import trace_of
from tests.cli.invoke import flow, run_folders, stepwave

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
STEPS = """\
    name: Traced
    version: 1.0.0
    steps:
      - {id: one, run: 'echo "$TRACEPARENT $TRACESTATE"'}
      - {id: two, run: 'echo "$TRACEPARENT" >> two; test $(wc -l < two) -eq 2', retry: {attempts: 2, delay: 0}}
    """


def told(tmp_path: Path, **env: str) -> tuple[dict[str, Any], list[str]]:
    ended = stepwave("run", "--json", flow(tmp_path, STEPS), cwd=tmp_path, env=env)
    assert ended.code == 0, ended.err
    document = json.loads(ended.out)
    return document, [*document["stepResults"]["one"]["output"].splitlines(), *(tmp_path / "two").read_text().split()]


def test_every_attempt_is_a_span_of_one_trace(tmp_path: Path) -> None:
    document, lines = told(tmp_path)
    trace = trace_of(document["runId"])
    assert lines == [f"{trace.parent_of('one', 1)} ", trace.parent_of("two", 1), trace.parent_of("two", 2)]
    assert all(re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01 ?", line) for line in lines)
    assert len({line.split("-")[2] for line in lines}) == 3


def test_the_trace_of_the_caller_goes_on(tmp_path: Path) -> None:
    _, lines = told(tmp_path, TRACEPARENT=CALLER.replace("-01", "-00"), TRACESTATE="congo=t61rcWkgMzE")
    assert lines[0].endswith("-00 congo=t61rcWkgMzE")
    assert {line.split("-")[1] for line in lines} == {CALLER.split("-")[1]}
    assert CALLER.split("-")[2] not in {line.split("-")[2] for line in lines}


def test_what_is_no_trace_does_not_go_on(tmp_path: Path) -> None:
    document, lines = told(tmp_path, TRACEPARENT="nonsense", TRACESTATE="congo=t61rcWkgMzE")
    assert lines[0] == f"{trace_of(document['runId']).parent_of('one', 1)} "


def test_what_the_file_sets_stands(tmp_path: Path) -> None:
    file = flow(tmp_path, "steps: [{id: a, run: 'echo $TRACEPARENT', env: {TRACEPARENT: mine}}]")
    ended = stepwave("run", "--json", file, cwd=tmp_path, env={"TRACEPARENT": CALLER})
    assert json.loads(ended.out)["stepResults"]["a"]["output"] == "mine\n"


def test_it_is_recorded_nowhere(tmp_path: Path) -> None:
    file = flow(tmp_path, "steps: [{id: a, run: 'true'}]")
    ended = stepwave("run", "--json", "--events", "events", file, cwd=tmp_path, env={"TRACEPARENT": CALLER})
    (folder,) = run_folders(tmp_path)
    run = trace_of(folder.name, CALLER)
    with sqlite3.connect(tmp_path / ".stepwave/ledger.db") as ledger:
        dump = "\n".join(ledger.iterdump())
    ledger.close()
    said = [dump, (tmp_path / "events").read_text(), ended.out, (folder / "orchestrator.log").read_text()]
    for text in said:
        for secret in (run.id, run.span("a", 1), "TRACEPARENT"):
            assert secret not in text


def test_a_step_is_reused_in_another_trace(tmp_path: Path) -> None:
    file = flow(tmp_path, "steps: [{id: a, run: 'cp in out', inputs: [in], outputs: [out]}]")
    (tmp_path / "in").write_text("x")
    states = []
    for env in ({}, {"TRACEPARENT": CALLER}, {"TRACEPARENT": CALLER.replace("-0a", "-0b")}):
        ended = stepwave("run", "--json", file, cwd=tmp_path, env=env)
        states.append("takenFrom" in json.loads(ended.out)["stepResults"]["a"])
    assert states == [False, True, True]


@pytest.mark.parametrize(
    ("given", "goes_on"),
    [
        (CALLER, True),
        (f" {CALLER}\n", True),
        (CALLER.replace("00-", "cc-", 1) + "-what-the-future-will-be-like", True),
        (CALLER + "-what", False),
        (CALLER.replace("00-", "ff-", 1), False),
        (CALLER.upper(), False),
        (f"00-{'0' * 32}-b7ad6b7169203331-01", False),
        (f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01", False),
        ("", False),
        (None, False),
    ],
)
def test_which_trace_goes_on(given: str | None, goes_on: bool) -> None:
    trace = trace_of("20260131-142503-7f3a9c", given)
    assert (trace.id == CALLER.split("-")[1]) is goes_on
    assert (trace.parent == CALLER.split("-")[2]) is goes_on
    assert re.fullmatch("[0-9a-f]{32}", trace.id)
