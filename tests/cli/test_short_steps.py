"""Steps that take a millisecond, many of them: each runs once, in order of its needs, whatever ends the run."""

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.cli.invoke import MODULE, Ended, end, started, stepwave

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the runner is found through /proc")

COUNT = 160
MIDDLE = f"s{COUNT // 2}"
RUNNER = ("/bin/sh", "-c", 'RUNNER=$$ exec "$@"', "sh", *MODULE)
"""The command, which tells its steps who it is."""


def flow(folder: Path, middle: str = "", **more: Any) -> None:
    """Every step tells its id, in the journal and in its log; one in the middle does something else, too. Each needs
    one of those some way before it, so that some wait all the time."""
    steps = [
        {
            "id": f"s{n}",
            "command": "/bin/sh",
            "args": ["-c", f"echo s{n} >> journal; echo says s{n}" + (f"; {middle}" if f"s{n}" == MIDDLE else "")],
            "dependsOn": [f"s{n - 40}"] if n >= 40 else [],
        }
        for n in range(COUNT)
    ]
    (folder / "flow.json").write_text(json.dumps({"name": "short", "steps": steps, **more}))


def journal(folder: Path) -> list[str]:
    path = folder / "journal"
    return path.read_text().split() if path.exists() else []


def status(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(stepwave("status", "--json", cwd=folder).out)
    return found


def states(folder: Path) -> dict[str, str]:
    return {id: result["state"] for id, result in status(folder)["stepResults"].items()}


def run_to_its_end(folder: Path, *words: str) -> Ended:
    with started("run", "flow.json", "-q", *words, cwd=folder, command=RUNNER, stdout=subprocess.DEVNULL) as process:
        return end(process)


def assert_needs_came_first(ran: list[str]) -> None:
    place = {id: n for n, id in reversed(list(enumerate(ran)))}
    for n in range(40, COUNT):
        if f"s{n}" in place:
            assert place[f"s{n - 40}"] < place[f"s{n}"]


@pytest.mark.parametrize("width", [2, 8])
def test_each_runs_once_and_is_told_as_it_was(width: int, tmp_path: Path) -> None:
    flow(tmp_path)
    assert stepwave("run", "flow.json", "-q", f"-j{width}", "--events", "events", cwd=tmp_path).code == 0
    ran = journal(tmp_path)
    assert Counter(ran) == Counter(f"s{n}" for n in range(COUNT))
    assert_needs_came_first(ran)
    for id, result in status(tmp_path)["stepResults"].items():
        assert Path(result["logPath"]).read_text() == f"says {id}\n"
        assert result["startedAt"] <= result["endedAt"]
    assert_events(tmp_path / "events", width)


def assert_events(path: Path, width: int) -> None:
    """In order of time, without gaps; never more at a time than there are slots."""
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert [event["elapsed"] for event in events] == sorted(event["elapsed"] for event in events)
    kinds = Counter(event["event"] for event in events)
    assert kinds["step-started"] == kinds["step-finished"] == COUNT
    running = 0
    for event in events:
        running += {"step-started": 1, "step-finished": -1}.get(event["event"], 0)
        assert 0 <= running <= width


def test_after_a_failure_only_what_was_on_its_way_runs(tmp_path: Path) -> None:
    flow(tmp_path, "exit 3")
    assert run_to_its_end(tmp_path, "-j2").code == 1
    ran, found = journal(tmp_path), states(tmp_path)
    assert max(Counter(ran).values()) == 1
    assert {id for id, state in found.items() if state == "completed"} == {*ran} - {MIDDLE}
    assert found[MIDDLE] == "failed" and Counter(found.values())["skipped"] == COUNT - len(ran)
    assert f"s{COUNT - 1}" not in ran


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it(number: signal.Signals, code: int, tmp_path: Path) -> None:
    flow(tmp_path, f"kill -{number.value} $RUNNER; sleep 1000")
    assert run_to_its_end(tmp_path, "-j2").code == code
    ran, found = journal(tmp_path), states(tmp_path)
    assert max(Counter(ran).values()) == 1
    assert {id for id, state in found.items() if state == "completed"} <= {*ran}
    assert found[MIDDLE] == "cancelled" and {*found.values()} == {"completed", "cancelled"}


def test_a_killed_run_is_continued_and_nothing_that_is_on_record_runs_again(tmp_path: Path) -> None:
    flow(tmp_path, "test -e killed || { touch killed; kill -9 $RUNNER; sleep 1000; }")
    with started("run", "flow.json", "-q", "-j2", cwd=tmp_path, command=RUNNER, stdout=subprocess.DEVNULL) as process:
        assert process.wait(60) == -signal.SIGKILL
    before, done = journal(tmp_path), {id for id, state in states(tmp_path).items() if state == "completed"}
    assert done <= {*before} and max(Counter(before).values()) == 1
    assert_needs_came_first(before)
    for n in range(40, COUNT):
        assert f"s{n}" not in before or f"s{n - 40}" in done, "it was on record before anybody started who needs it"
    (tmp_path / "journal").unlink()
    assert stepwave("run", "flow.json", "-q", "-j2", "--resume", cwd=tmp_path).code == 0
    after = journal(tmp_path)
    assert Counter(after) == Counter({f"s{n}" for n in range(COUNT)} - done)
    assert_needs_came_first([*(id for id in before if id in done), *after])


def test_a_killed_supervisor_costs_the_steps_that_it_had_begun(tmp_path: Path) -> None:
    flow(tmp_path, "kill -9 $PPID; sleep 1000")
    assert run_to_its_end(tmp_path, "-j2", "-k").code == 1
    ran, found = journal(tmp_path), states(tmp_path)
    assert max(Counter(ran).values()) == 1 and found[MIDDLE] == "failed"
    assert {id for id, state in found.items() if state != "skipped"} == {*ran}


def test_secrets_tries_limits_and_what_others_printed(tmp_path: Path) -> None:
    """All that may be different about a step that wants nothing but a slot."""
    kinds: list[dict[str, Any]] = [
        {"run": "echo the $TOKEN", "secrets": ["TOKEN"]},
        {"run": "test -e tried-{0} || {{ touch tried-{0}; exit 1; }}; echo second", "retry": {"attempts": 2}},
        {"run": "ulimit -n", "limits": {"openFiles": 55}},
        {"run": "echo {{{{steps.first.stdout}}}}", "needs": ["first"]},
        {"run": "echo in time", "timeout": "30s"},
    ]
    said = ["the ***", "second", "55", "from the first", "in time"]
    steps = [{"id": "first", "run": "echo from the first"}]
    for n in range(60):
        kind = kinds[n % len(kinds)]
        steps.append({"id": f"s{n}", **kind, "run": kind["run"].format(n)})
    secrets = {"TOKEN": {"env": "TOKEN"}}
    (tmp_path / "flow.json").write_text(json.dumps({"name": "odd", "secrets": secrets, "steps": steps}))
    ended = stepwave("run", "flow.json", "-q", "-j2", cwd=tmp_path, env={"TOKEN": "open-sesame"})
    assert ended.code == 0, ended
    results = status(tmp_path)["stepResults"]
    for n in range(60):
        assert Path(results[f"s{n}"]["logPath"]).read_text().strip() == said[n % len(said)]
        assert results[f"s{n}"]["attempts"] == (2 if n % len(said) == 1 else 1)
