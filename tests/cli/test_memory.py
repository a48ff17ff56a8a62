"""Steps that wait for memory, in real runs."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import jsonschema
import pytest

from tests.cli.invoke import MODULE, ROOT, flow, stepwave

MB = 1 << 20
LIMIT = 400 * MB

HOLD = """\
    name: Hold
    steps:
      - id: hold
        run: exec python3 -c "import time; x = bytearray(120 << 20); time.sleep(1)"
        matrix: {{n: [1, 2, 3, 4]}}
        {limits}
"""


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group with so much memory, below that of this process; of the older version or the newer one."""
    made = next(filter(None, map(_group, Path("/proc/self/cgroup").read_text().splitlines())), None)
    if made is None:
        pytest.skip("no control group can be made here")
    yield made
    made.rmdir()


def _group(line: str) -> Path | None:
    _, kinds, own = line.split(":", 2)
    mount, name = {"": ("", "memory.max"), "memory": ("memory", "memory.limit_in_bytes")}.get(kinds, ("", ""))
    if not name:
        return None
    made = Path(f"/sys/fs/cgroup/{mount}{own}/stepwave-test-{os.getpid()}")
    with suppress(OSError):
        made.mkdir()
        with suppress(OSError):
            (made / name).write_text(str(LIMIT))
            return made
        made.rmdir()
    return None


def within(group: Path) -> tuple[str, ...]:
    return "sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh", *MODULE


def most_at_once(events: Path) -> int:
    running = most = 0
    for line in events.read_text("utf-8").splitlines():
        event = json.loads(line)["event"]
        running += {"step-started": 1, "step-finished": -1}.get(event, 0)
        most = max(most, running)
    return most


def test_steps_that_do_not_fit_together_complete_instead_of_being_killed(group: Path, tmp_path: Path) -> None:
    if "SwapTotal:             0 kB" not in Path("/proc/meminfo").read_text():
        pytest.skip("what does not fit is swapped here")
    words = ("-j4", "-k", "--no-ledger", "--events", tmp_path / "events")
    flow(tmp_path, HOLD.format(limits=""), "unknown.yaml")
    ended = stepwave("run", "unknown.yaml", *words, cwd=tmp_path, command=within(group))
    assert ended.code == 1 and "killed by SIGKILL" in ended.err, "the kernel sees to it"
    flow(tmp_path, HOLD.format(limits="limits: {memory: 160MB}"), "known.yaml")
    ended = stepwave("run", "known.yaml", *words, cwd=tmp_path, command=within(group))
    assert ended.code == 0, ended.err
    assert most_at_once(tmp_path / "events") == 2
    assert "Waits for memory: it needs 160 MB, and " in ended.err


def test_what_was_learned_in_one_run_keeps_the_next_one_within_its_memory(group: Path, tmp_path: Path) -> None:
    flow(tmp_path, HOLD.format(limits=""), "flow.yaml")
    words = ("-j4", "--events", tmp_path / "events")
    assert stepwave("run", "flow.yaml", *words, cwd=tmp_path).code == 0, "there is enough outside the group"
    ended = stepwave("run", "flow.yaml", *words, cwd=tmp_path, command=within(group))
    assert ended.code == 0, ended.err
    assert most_at_once(tmp_path / "events") == 2


# --- --min-free-memory ---------------------------------------------------------------------------------------


def test_steps_start_alone_where_more_is_to_be_left_free_than_there_is(tmp_path: Path) -> None:
    flow(tmp_path, "steps: [{id: a, run: sleep 0.2}, {id: b, run: sleep 0.2}, {id: c, run: sleep 0.2}]")
    ended = stepwave("run", "flow.yaml", "-j3", "--events", "events", "--min-free-memory", "900TB", cwd=tmp_path)
    assert ended.code == 0 and most_at_once(tmp_path / "events") == 1
    assert "[a] Starts alone, short of memory: it needs 256 MB, and 0 bytes are left" in ended.err
    assert "[b] Waits for memory: it needs 256 MB, and 0 bytes are left" in ended.err
    schema = json.loads((ROOT / "schemas/event.schema.json").read_text("utf-8"))
    events = [json.loads(line) for line in (tmp_path / "events").read_text("utf-8").splitlines()]
    told = [event for event in events if event["event"] == "memory-short"]
    assert [(event["step"], event["starts"]) for event in told[:2]] == [("a", True), ("b", False)]
    for event in told:
        jsonschema.validate(event, schema)
    why = stepwave("why", "b", cwd=tmp_path)
    assert "for memory, of which the machine had too little left; while there ran a" in why.out
    log = next(tmp_path.glob(".stepwave/runs/*/orchestrator.log")).read_text("utf-8")
    assert "[b] Waits for memory: it needs 256 MB" in log


def test_without_it_they_start_together(tmp_path: Path) -> None:
    meet = "until test -e $MARK.a -a -e $MARK.b -a -e $MARK.c; do sleep 0.01; done"
    steps = ", ".join(f'{{id: {id}, run: "touch $MARK.{id}; {meet}", timeout: 50s}}' for id in "abc")
    flow(tmp_path, f"steps: [{steps}]")
    for mark, words in enumerate([(), ("--min-free-memory", "0")]):
        env = {"MARK": str(mark)}
        assert stepwave("run", "flow.yaml", "-j3", "--events", "events", *words, cwd=tmp_path, env=env).code == 0
        assert most_at_once(tmp_path / "events") == 3


def test_it_is_a_size(tmp_path: Path) -> None:
    flow(tmp_path, "steps: [{id: a, run: date}]")
    ended = stepwave("run", "flow.yaml", "--min-free-memory", "some", cwd=tmp_path)
    assert ended.code == 2 and "`--min-free-memory some` is no size" in ended.err
    dry = stepwave("run", "flow.yaml", "-n", "--min-free-memory", "2GB", cwd=tmp_path)
    assert "2 GB of memory left free" in dry.out
