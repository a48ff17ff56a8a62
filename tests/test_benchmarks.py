"""`make bench` compares the same work, and prints what it measured. Nothing is timed here."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml

from benchmarks import comparisons, graphs, makespan, process_matrix, proof, soak, table, toolkit, traces
from benchmarks.graphs import Graph, Step, layered, leaves
from benchmarks.measure import Contender, Ratio, Sample, race, ratio
from stepwave import api

SMALL = layered(3, 4, lambda id: ("/bin/echo", id))
Needs = Mapping[str, tuple[str, ...]]

# --- each file, read back by other means than it was written with ----------------------------------------


def in_json(text: str) -> Needs:
    return {step["id"]: tuple(step.get("dependsOn", ())) for step in json.loads(text)["steps"]}


def in_yaml(text: str) -> Needs:
    return {step["id"]: tuple(step.get("dependsOn", ())) for step in yaml.safe_load(text)["steps"]}


def in_ninja(text: str) -> Needs:
    found = re.findall(r"^build (\S+): run ?(.*)$", text, flags=re.MULTILINE)
    return {id: tuple(needs.split()) for id, needs in found}


def in_rules(text: str) -> Needs:
    """Makefile and justfile alike: `step: needs`, but for the target that asks for all."""
    found = re.findall(r"^(\w+): ?(.*)$", text, flags=re.MULTILINE)
    return {id: tuple(needs.split()) for id, needs in found if id != "all"}


def in_taskfile(text: str) -> Needs:
    tasks = yaml.safe_load(text)["tasks"]
    return {id: tuple(task.get("deps", ())) for id, task in tasks.items() if id != "all"}


def in_dodo(text: str) -> Needs:
    names: dict[str, Callable[[], list[dict[str, list[str]]]]] = {}
    exec(text, names)
    return {str(task["basename"]): tuple(task["task_dep"]) for task in names["task_layers"]()}


@pytest.mark.parametrize(
    ("write", "read"),
    [
        (graphs.stepwave_json, in_json),
        (graphs.stepwave_yaml, in_yaml),
        (graphs.ninja, in_ninja),
        (graphs.makefile, in_rules),
        (graphs.taskfile, in_taskfile),
        (graphs.justfile, in_rules),
        (graphs.dodo, in_dodo),
    ],
)
def test_every_tool_is_given_the_same_graph(write: Callable[[Graph], str], read: Callable[[str], Needs]) -> None:
    text = write(SMALL)
    assert read(text) == {step.id: step.needs for step in SMALL}
    assert text.count("/bin/echo") == len(SMALL)


def test_a_step_needs_its_own_column_and_the_next() -> None:
    assert layered(2, 3)[3:] == (
        Step("s1_0", ("/bin/true",), ("s0_0", "s0_1")),
        Step("s1_1", ("/bin/true",), ("s0_1", "s0_2")),
        Step("s1_2", ("/bin/true",), ("s0_2", "s0_0")),
    )
    assert layered(2, 1)[1].needs == ("s0_0",)
    assert leaves(SMALL) == ("s2_0", "s2_1", "s2_2", "s2_3")


@pytest.mark.parametrize("name", ["graph.json", "graph.yaml"])
def test_stepwave_reads_its_files_without_a_remark(tmp_path: Path, name: str) -> None:
    write = graphs.stepwave_json if name.endswith("json") else graphs.stepwave_yaml
    (tmp_path / name).write_text(write(SMALL))
    loaded = api.load(tmp_path / name)
    assert loaded.diagnostics == ()
    assert loaded.workflow is not None
    assert tuple(step.id for step in loaded.workflow.steps) == tuple(step.id for step in SMALL)


def test_the_file_that_validate_is_timed_with_is_valid(tmp_path: Path) -> None:
    (tmp_path / "ten.yaml").write_text(comparisons.TEN_STEPS)
    loaded = api.load(tmp_path / "ten.yaml")
    assert loaded.diagnostics == ()
    assert loaded.workflow is not None
    assert len(loaded.workflow.steps) == 10


# --- the proof that a tool did what it was asked for -----------------------------------------------------

CHAIN = (Step("a", (), ()), Step("b", (), ("a",)), Step("c", (), ()))


@pytest.mark.parametrize(
    ("trace", "found"),
    [
        ("start a, start c, end a, start b, end b, end c", []),
        ("start a, start b, end a, end b, start c, end c", ["b started too early"]),
        ("start a, start c, end a, end c", ["b ran 0 times"]),
        ("start a, start c, end a, start a, end a, end c, start b, end b", ["a ran 2 times"]),
        ("start a, end a, start b, end b, start c, end c", ["one at a time"]),
        ("start a, start c, start b, end a, end b, end c", ["b started too early", "3 at a time"]),
    ],
)
def test_a_trace_tells_what_a_tool_did_wrong(trace: str, found: list[str]) -> None:
    assert proof.faults(CHAIN, trace.split(", "), 2) == found


# --- measuring, without looking at the clock ---------------------------------------------------------------


def test_rounds_are_taken_in_turns_and_what_breaks_is_left_out(tmp_path: Path) -> None:
    contenders = [
        Contender("one", ("/bin/sh", "-c", "echo one >>order; mkdir litter"), tmp_path, ("litter",)),
        Contender("broken", ("/bin/sh", "-c", "echo no reason; exit 3"), tmp_path),
        Contender("two", ("/bin/sh", "-c", "echo two >>order"), tmp_path),
    ]
    told: list[str] = []
    taken = race(contenders, 2, warm_up=False, told=told.append)
    assert (tmp_path / "order").read_text().split() == ["one", "two", "one", "two"]
    assert {name: len(samples) for name, samples in taken.items()} == {"one": 2, "two": 2}
    assert told == ["broken: exit code 3: no reason"]


def test_a_ratio_is_the_median_of_the_ratios_of_each_round() -> None:
    assert ratio([1.0, 8.0, 3.0], [1.0, 2.0, 2.0]) == Ratio(1.5, 1.0, 4.0, 1.0)
    with pytest.raises(ValueError, match="at least one round"):
        ratio([], [])


# --- printing ----------------------------------------------------------------------------------------------


def test_the_table_of_times() -> None:
    folder = Path()
    contenders = [Contender("stepwave", (), folder), Contender("task", (), folder, remark="4 at a time")]
    samples = {"stepwave": [Sample(0.5, 0.25, 30_000_000), Sample(1.5, 0.75, 40_000_000)]}
    assert table.as_text(table.times("Times", contenders, samples, ["doit"])) == (
        "Times\n"
        "              median   least  greatest     CPU  peak RSS  remark\n"
        "  stepwave    1.00 s  500 ms    1.50 s  500 ms     40 MB\n"
        "  task         broke                                      4 at a time\n"
        "  doit      not here\n"
    )


def test_the_table_of_targets() -> None:
    found = [
        table.at_most("stepwave / ninja", Ratio(1.0, 0.9, 1.25, 0.95), 1.0),
        table.at_most("stepwave / make", Ratio(2.01, 2.0, 2.1, 1.98), 1.99),
        table.below_mb("peak | RSS", [60_000_000, 80_000_000], 80),
    ]
    assert table.as_markdown(table.verdicts("Targets", found)) == (
        "### Targets\n"
        "\n"
        "|  | measured | single rounds | least / least | target |  |\n"
        "| --- | ---: | ---: | ---: | ---: | --- |\n"
        "| stepwave / ninja | 1.00 x | 0.90 … 1.25 | 0.95 x | at most 1 x | met, not in every round |\n"
        "| stepwave / make | 2.01 x | 2.00 … 2.10 | 1.98 x | at most 1.99 x | MISSED |\n"
        "| peak \\| RSS | 80.0 MB | 60 … 80 |  | below 80 MB | MISSED |\n"
    )


def test_only_what_stands_between_the_marks_is_replaced() -> None:
    page = f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n"
    written = table.between_marks(page, "new \\1\n")
    assert written == f"before\n{table.BEGIN}\n\nnew \\1\n\n{table.END}\nafter\n"
    assert table.between_marks(written, "new \\1\n") == written
    with pytest.raises(ValueError, match="needs one line"):
        table.between_marks("no marks", "new")


def test_the_page_has_the_marks() -> None:
    page = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
    table.between_marks(page.read_text("utf-8"), "")
    table.between_marks(page.read_text("utf-8"), "", makespan.BEGIN, makespan.END)


# --- how near a run comes to the bound -----------------------------------------------------------------------


def test_a_trace_becomes_a_graph_that_every_tool_reads() -> None:
    trace = (traces.Work("a/b c", 1.5, ()), traces.Work("d", 0.25, ("a/b c",)))
    assert makespan.graph_of(trace) == (Step("t0", ("sleep", "1.500"), ()), Step("t1", ("sleep", "0.250"), ("t0",)))


def test_the_tables_of_makespans() -> None:
    one = makespan.Measured("srasearch", 22, 10.0, 10.5, {"first": 14.0, "second": 10.6, "make": 14.2}, 10.5, 10.4)
    assert table.as_text(makespan.spans([one])) == (
        "Makespan / lower bound, 8 at a time\n"
        "             steps   bound  exact list     make     ninja  stepwave, 1st      2nd  as recorded  simulated\n"
        "  srasearch     22  10.0 s     1.050 x  1.420 x  not here        1.400 x  1.060 x      1.050 x  1.040 x\n"
    )
    assert [(row[0], row[1], row[5]) for row in makespan.targets([one]).rows] == [
        ("srasearch: second run / exact list", "1.01 x", "met"),
        ("srasearch: second run / bound", "1.06 x", "MISSED"),
        ("srasearch: run and simulation", "1.01 x", "met"),
    ]


def test_a_measurement_from_end_to_end(tmp_path: Path) -> None:
    trace = tuple(traces.Work(f"w{n}", 0.02, (f"w{n - 3}",) if n > 2 else ()) for n in range(9))
    found = makespan.measure("small", trace, tmp_path / "small")
    assert found is not None and {"first", "second"} <= set(found.walls)
    assert found.listed_s == pytest.approx(0.06)
    assert 0 < found.simulated_s <= found.recorded_s < found.walls["second"]


def test_a_program_of_the_toolkit_takes_its_own_time(tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(toolkit.WORK)
    call = "return thread_map(work.increment, range(10))"
    contender = toolkit._program(tmp_path, "ten items", toolkit.OURS, call, answer="sum(found)")
    subprocess.run([sys.executable, *contender.argv[1:]], cwd=tmp_path, check=True)
    assert (tmp_path / "ten-items.took").read_text() == "55"


# --- what is left of a step ------------------------------------------------------------------------------


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="processes are looked for in /proc")
@pytest.mark.parametrize(
    ("shape", "way"),
    [
        *zip(process_matrix.SHAPES, [way for way in process_matrix.WAYS if way != "time-out"], strict=False),
        *((shape, "KILL runner") for shape in process_matrix.SHAPES),
    ],
)
def test_nothing_is_left_of_a_step(shape: str, way: str) -> None:
    left, _ = process_matrix.left_after(shape, way)
    assert left == 0


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="processes are looked for in /proc")
def test_nothing_is_lost_when_the_runner_is_killed_again_and_again() -> None:
    """The short form of `make soak`."""
    soaked = soak.soak(kills=8, steps=60, seed=7)
    assert soaked.faults == ()
    assert soaked.kills == 8
