"""What runs leave to later ones about their steps: times and memory, by step and by what it does."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepwave.core.events import (
    Entry,
    Event,
    NewStep,
    Outcome,
    RunFinished,
    RunStarted,
    Status,
    StepFinished,
    StepsAdded,
    Usage,
)
from stepwave.core.origin import Origin
from stepwave.core.plan import Learned, Plan
from stepwave.core.running.fingerprint import definition, print_of
from stepwave.core.running.graph import make_plan
from stepwave.edge.ledger import prune, reader
from stepwave.edge.ledger.connect import Ledger, open_ledger
from stepwave.edge.ledger.learning import WEIGHT, flow_of
from stepwave.edge.ledger.writer import LedgerWriter
from tests.core.world import step, workflow

HERE = Origin("/w/flow.yaml")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def plan_of(*ids: str) -> Plan:
    return make_plan(workflow(*(step(id) for id in ids)), cpus=4)


PLAN = plan_of("a", "b")
runs = iter(range(10**6))


def a_writer(path: Path, origin: Origin = HERE, commands: Mapping[str, str] | None = None) -> LedgerWriter:
    known = None if commands is None else {id: {"command": text} for id, text in commands.items()}
    return LedgerWriter(open_ledger(path), origin, None if known is None else lambda: known)


def run(path: Path, *events: Event, origin: Origin = HERE, commands: Mapping[str, str] | None = None) -> None:
    """A whole run, told and recorded."""
    writer = a_writer(path, origin, commands)
    writer.learned(PLAN)  # as every run asks
    tell(writer, RunStarted("flow", "Flow", (("a",), ("b",)), 0, 2, {}), *events, RunFinished(Status.COMPLETED, 0))
    writer.close()


def tell(writer: LedgerWriter, *events: Event) -> None:
    name = f"20260131-142503-{next(runs):06x}"
    for seq, event in enumerate(events, 1):
        writer.see(Entry(seq, 1000.0 + seq, float(seq), name, event))
        writer.settle()


def took(id: str, seconds: float, peak: int | None = None, **fields: object) -> StepFinished:
    usage = None if peak is None else Usage(seconds / 2, seconds / 4, peak)
    ended = {"step": id, "outcome": Outcome.COMPLETED, "attempts": 1, "duration_s": seconds, "usage": usage}
    return StepFinished(**{**ended, **fields})  # type: ignore[arg-type]


def known(path: Path, origin: Origin = HERE, plan: Plan = PLAN, **commands: str) -> Mapping[str, Learned]:
    writer = a_writer(path, origin, commands or None)
    try:
        return writer.learned(plan)
    finally:
        writer.close()


def test_the_first_run_is_taken_as_it_was(path: Path) -> None:
    assert known(path) == {}
    run(path, took("a", 4.0, 1000), took("b", 2.0))
    assert known(path) == {"a": Learned(1, 4.0, 2.0, 1.0, 1000), "b": Learned(1, 2.0)}


def test_the_mean_of_the_first_runs_then_the_latest_weighs_more(path: Path) -> None:
    times = [4.0, 8.0, 3.0, 10.0, 20.0]
    for seconds in times:
        run(path, took("a", seconds))
    mean_s = sum(times[:3]) / 3
    for seconds in times[3:]:
        mean_s += (seconds - mean_s) * WEIGHT
    assert known(path)["a"] == Learned(5, pytest.approx(mean_s))


def test_a_peak_counts_at_once_and_is_forgotten_slowly(path: Path) -> None:
    for peak in (1000, 5000, 2000):
        run(path, took("a", 1.0, peak))
    assert known(path)["a"].peak_rss_bytes == 4000
    run(path, took("a", 2.0))
    assert known(path)["a"].peak_rss_bytes == 4000, "what was not measured changes nothing"


@pytest.mark.parametrize(
    "end",
    [
        took("a", 9.0, outcome=Outcome.FAILED),
        took("a", 9.0, outcome=Outcome.TIMEOUT),
        took("a", 9.0, outcome=Outcome.CANCELLED),
        took("a", 9.0, outcome=Outcome.FAILED, tolerated=True),
        took("a", 0.0, outcome=Outcome.SKIPPED, attempts=0),
        took("a", 0.0, attempts=0, taken_from="20260131-142503-7f3a9c"),
        took("a", 0.0),
    ],
)
def test_what_has_not_completed_by_itself_does_not_count(end: StepFinished, path: Path) -> None:
    run(path, end)
    assert known(path) == {}
    run(path, took("a", 4.0))
    run(path, end)
    assert known(path) == {"a": Learned(1, 4.0)}


def test_what_is_known_already_is_not_written_again(path: Path) -> None:
    run(path, took("a", 4.0, 1000), took("b", 0.001))
    run(path, took("a", 4.1, 1010), took("b", 0.005))
    assert known(path)["a"] == Learned(1, 4.0, 2.0, 1.0, 1000)
    assert known(path)["b"].runs == 1
    run(path, took("a", 4.1, 1100), took("b", 0.05))
    assert (known(path)["a"].runs, known(path)["b"].runs) == (2, 2)


# --- who is who ------------------------------------------------------------------------------------------


def test_a_step_whose_command_has_changed_begins_anew(path: Path) -> None:
    for _ in range(3):
        run(path, took("a", 4.0), commands={"a": "make all"})
    assert known(path, a="make most") == {"a": Learned(1, 4.0)}, "until it has run it is taken for what it was"
    run(path, took("a", 9.0), commands={"a": "make most"})
    assert known(path, a="make most") == {"a": Learned(1, 9.0)}


def test_the_same_command_is_known_under_another_name_and_in_another_file(path: Path) -> None:
    run(path, took("a", 4.0), took("b", 7.0), commands={"a": "make all", "b": "test"})
    renamed = plan_of("c", "b")
    assert known(path, plan=renamed, c="make all", b="test") == {"c": Learned(1, 4.0), "b": Learned(1, 7.0)}
    assert known(path, Origin("/w/other.yaml"), a="make all", b="new") == {"a": Learned(1, 4.0)}
    swapped = known(path, a="test", b="make all")
    assert (swapped["a"].duration_s, swapped["b"].duration_s) == (7.0, 4.0), "the command says more than the name"


def test_without_definitions_file_and_id_say_who_it_is(path: Path) -> None:
    run(path, took("a", 4.0), commands={"a": "make all"})
    run(path, took("a", 8.0))
    assert known(path) == known(path, a="make all") == {"a": Learned(2, 6.0)}
    assert known(path, Origin("/w/other.yaml")) == {}


def test_workflows_are_kept_apart(path: Path) -> None:
    assert flow_of(Origin("/w/f.yaml"), "x") == "/w/f.yaml"
    assert flow_of(Origin("/w/f.yaml", name="n"), "x") == "/w/f.yaml#n"
    assert flow_of(Origin(), "x") == ":x"
    run(path, took("a", 4.0), origin=Origin("/w/flow.yaml", name="other"))
    assert known(path) == {}


def test_the_parts_of_a_for_each_are_learned_with_the_print_of_the_whole(path: Path) -> None:
    parts = StepsAdded((NewStep("a[1]", "", "a", 0), NewStep("a[2]", "", "a", 0)))
    ends = [took("a[1]", 2.0), took("a[2]", 4.0), took("a", 5.0)]
    for _ in range(2):
        run(path, parts, *ends, commands={"a": "scan"})
    found = known(path, a="scan")
    assert {id: one.duration_s for id, one in found.items()} == {"a": 5.0, "a[1]": 2.0, "a[2]": 4.0}
    assert "a[1]" not in known(path, plan=plan_of("b"))


def test_what_a_step_needs_is_no_part_of_its_print() -> None:
    flow = workflow(env={"CC": "gcc"})
    prints = [
        print_of(definition(one, flow))
        for one in (
            step("a", argv=("cc", "x.c")),
            step("b", "a", argv=("cc", "x.c"), condition="true", outputs=("x",), allowed_exit_codes=(0, 1)),
            step("a", argv=("cc", "y.c")),
            step("a", argv=("cc", "x.c"), cwd="sub"),
            step("a", argv=("cc", "x.c"), inputs=("x.c",)),
            step("a", argv=("cc", "x.c"), env={"CC": "clang"}),
        )
    ]
    assert prints[0] == prints[1]
    assert len(set(prints[1:])) == 5


# --- when it is written ------------------------------------------------------------------------------------


def rows(path: Path) -> list[tuple[str, float]]:
    ledger = open_ledger(path)
    found = ledger.db.execute("SELECT step, duration_s FROM learned").fetchall()
    ledger.close()
    return found


def test_it_is_written_at_the_end_or_after_a_minute_of_work(path: Path) -> None:
    writer = a_writer(path)
    start = RunStarted("flow", "Flow", (("a",), ("b",)), 0, 2, {})
    tell(writer, start, took("a", 40.0))
    assert rows(path) == []
    tell(writer, took("b", 30.0))
    assert rows(path) == [("a", 40.0), ("b", 30.0)]
    writer.close()


def test_pruning_runs_leaves_what_they_have_shown(path: Path) -> None:
    run(path, took("a", 4.0))
    ledger = open_ledger(path)
    for old in prune.old_runs(ledger, path.parent, keep=0, older_s=None, now=1e9):
        prune.delete(ledger, path.parent, old)
    prune.shrink(ledger)
    assert reader.runs(ledger) == []
    ledger.close()
    assert known(path) == {"a": Learned(1, 4.0)}


def test_runs_that_end_at_the_same_time_both_count(path: Path) -> None:
    writers = [a_writer(path), a_writer(path)]
    start = RunStarted("flow", "Flow", (("a",), ("b",)), 0, 2, {})
    for writer in writers:
        writer.learned(PLAN)
        tell(writer, start)
    for writer, seconds in zip(writers, (4.0, 8.0), strict=True):
        tell(writer, took("a", seconds), RunFinished(Status.COMPLETED, 0))
        writer.close()
    assert known(path) == {"a": Learned(2, 6.0)}


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    opened = open_ledger(path)
    yield opened
    opened.close()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(st.floats(0.1, 1000), min_size=1, max_size=8))
def test_a_mean_lies_between_what_it_was_made_of(ledger: Ledger, times: list[float]) -> None:
    ledger.db.execute("DELETE FROM learned")
    for seconds in times:
        run(ledger.path, took("a", seconds))
    (mean_s,) = ledger.db.execute("SELECT duration_s FROM learned").fetchone()
    assert min(times) - 1e-9 <= mean_s <= max(times) + 1e-9
