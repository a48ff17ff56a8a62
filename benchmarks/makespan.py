"""`make bench-makespan`: how near a run comes to the time that no schedule beats, on the task graphs of real workflows.

Every task sleeps for as long as it took, scaled so that the bound of the whole is `--target` seconds. stepwave runs
each graph twice: without knowing anything, and knowing what the first run has shown. Then its peers run it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # `benchmarks` itself, not its insides, is what is imported

from benchmarks import graphs, peers, traces  # noqa: E402
from benchmarks.measure import Contender, Ratio, race  # noqa: E402
from benchmarks.table import Table, Verdict, as_markdown, as_text, at_most, between_marks, verdicts  # noqa: E402
from benchmarks.traces import Trace  # noqa: E402

SLOTS = 8
TARGET_S = 15.0
FIRST, SECOND = "first", "second"
BEGIN, END = "<!-- makespan: begin -->", "<!-- makespan: end -->"


class Measured(NamedTuple):
    """Seconds. `bound_s` and `listed_s` are worked out, `walls` were measured, by contender; `recorded_s` and
    `simulated_s` are what `stepwave simulate` says of the second run."""

    name: str
    steps: int
    bound_s: float
    listed_s: float
    walls: dict[str, float]
    recorded_s: float
    simulated_s: float


def main() -> None:
    asked = _arguments()
    peers.install(_tell)
    load = os.getloadavg()[0]
    measured = []
    with tempfile.TemporaryDirectory(prefix="stepwave-makespan-") as folder:
        for name, trace in traces.named(traces.all_traces(), asked.only or ()):
            _tell(f"{name} …")
            found = measure(name, traces.scaled(trace, SLOTS, asked.target), Path(folder) / name)
            measured += [found] if found else []
    tables = [spans(measured), targets(measured)]
    ending = f"Load average {load:.1f} before, {os.getloadavg()[0]:.1f} after; bounds scaled to {asked.target:g} s."
    markdown = "\n".join([*map(as_markdown, tables), ending])
    if asked.write:
        page = asked.write.read_text("utf-8")
        asked.write.write_text(between_marks(page, markdown, BEGIN, END), "utf-8")
    print(markdown if asked.markdown else "\n".join([*map(as_text, tables), ending]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks/makespan.py", description="Measure how near runs come to the bound."
    )
    parser.add_argument("--only", action="append", help="this trace, by its first word; repeatable")
    parser.add_argument("--target", type=float, default=TARGET_S, metavar="S", help="seconds that a bound is scaled to")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.add_argument("--write", metavar="PAGE", type=Path, help="put the Markdown between the two marks of PAGE")
    return parser.parse_args()


def graph_of(trace: Trace) -> graphs.Graph:
    """Ids that every tool takes; each task a `sleep`."""
    number = {work.id: f"t{n}" for n, work in enumerate(trace)}
    return tuple(
        graphs.Step(number[work.id], ("sleep", f"{work.seconds:.3f}"), tuple(number[need] for need in work.needs))
        for work in trace
    )


def measure(name: str, trace: Trace, folder: Path) -> Measured | None:
    """Each contender once, one after the other. None: stepwave broke, which has been told."""
    graph = graph_of(trace)
    first = peers.ours(graph, folder, SLOTS)._replace(name=FIRST)
    second = first._replace(name=SECOND, litter=())
    field = [one for peer in peers.PEERS[:2] if (one := peers.contender(peer, graph, folder, SLOTS))]
    taken = race([first, second, *field], 1, warm_up=False, told=_tell)
    if not taken.keys() >= {FIRST, SECOND}:
        return None
    recorded_s, simulated_s = _simulated(second)
    walls = {one: samples[0].wall_s for one, samples in taken.items()}
    bound_s, listed_s = traces.bound_s(trace, SLOTS), traces.listed_s(trace, SLOTS)
    return Measured(name, len(trace), bound_s, listed_s, walls, recorded_s, simulated_s)


def _simulated(ran: Contender) -> tuple[float, float]:
    argv = [str(peers.STEPWAVE), "simulate", "latest", "--json"]
    answer = subprocess.run(argv, cwd=ran.folder, capture_output=True, text=True, check=True).stdout
    trials = json.loads(answer)["trials"]
    return trials[0]["makespan"], trials[1]["makespan"]


# --- tables --------------------------------------------------------------------------------------------


def spans(measured: list[Measured]) -> Table:
    """Each time over the bound."""
    names = ["make", "ninja", FIRST, SECOND]
    heads = ("", "steps", "bound", "exact list", *(names[:2]), "stepwave, 1st", "2nd", "as recorded", "simulated")
    rows = []
    for one in measured:
        cells = [one.name, str(one.steps), f"{one.bound_s:.1f} s", _over(one.listed_s, one)]
        cells += [_over(one.walls[name], one) if name in one.walls else "not here" for name in names]
        rows.append((*cells, _over(one.recorded_s, one), _over(one.simulated_s, one)))
    return Table(f"Makespan / lower bound, {SLOTS} at a time", heads, tuple(rows))


def _over(seconds: float, one: Measured) -> str:
    return f"{seconds / one.bound_s:.3f} x"


def targets(measured: list[Measured]) -> Table:
    """What was asked for."""
    found: list[Verdict] = []
    for one in measured:
        found.append(_single(f"{one.name}: second run / exact list", one.walls[SECOND] / one.listed_s, 1.03))
        if one.name == "srasearch":
            found.append(_single(f"{one.name}: second run / bound", one.walls[SECOND] / one.bound_s, 1.05))
        apart = max(one.recorded_s / one.simulated_s, one.simulated_s / one.recorded_s)
        found.append(_single(f"{one.name}: run and simulation", apart, 1.03))
    return verdicts("Makespan: targets", found)


def _single(what: str, value: float, limit: float) -> Verdict:
    return at_most(what, Ratio(value, value, value, value), limit)._replace(spread="", of_best="")


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
