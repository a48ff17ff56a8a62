"""Call graphs measured: against the calls that a run of real modules makes, and against parsing whole packages.

    .venv/bin/python benchmarks/call_graphs.py [FOLDER_OF_SITE_PACKAGES]

With a folder that holds Django and SQLAlchemy, their whole call graphs are timed too, cold and in one process, against
`ast.parse` of all their files in the same run.
"""

import ast
import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "src"), str(HERE.parent)]

from benchmarks.measure import ratio  # noqa: E402
from benchmarks.table import Table, Verdict, at_most, verdicts  # noqa: E402
from stepwave.discovery.calls.result import CallGraph  # noqa: E402
from stepwave.discovery.calls.trace import Entry, trace  # noqa: E402
from stepwave.discovery.walk import walk  # noqa: E402

MODULES = (
    "json", "textwrap.py", "argparse.py", "configparser.py", "string.py", "difflib.py", "fractions.py", "html",
    "_markupbase.py", "shlex.py", "pprint.py",
)  # fmt: skip


class Score(NamedTuple):
    """Edges that a run has shown, how many of them were predicted, and how much of what was predicted was seen."""

    observed: int
    explicit: int
    recall: float
    recall_explicit: float
    predicted: int
    confirmed: float
    missing: list[tuple[str, str, str]]
    unseen: list[tuple[str, str, str]]


def prepare(folder: Path) -> None:
    library = Path(json.__file__).parent.parent
    for name in MODULES:
        source = library / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    shutil.copy(HERE / "call_driver.py", folder / "main.py")


def run_time_edges() -> Score:
    """The edges of the driver and the modules that it drives: predicted from `main.py`, and seen by a profiler."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(os.path.realpath(made))
        prepare(folder)
        command = [sys.executable, "-I", str(HERE / "call_observer.py"), str(folder)]
        seen = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        graph = trace(Entry(str(folder), "main.py", ""))
    assert isinstance(graph, CallGraph)
    return scored(graph, seen["edges"], {(path, line) for path, line in seen["lines"]})


def scored(graph: CallGraph, seen: list[tuple[str, str, str]], lines: set[tuple[str, int]]) -> Score:
    inner = {name for name, node in graph.nodes.items() if node.kind in ("def", "lambda")}
    predicted = {(edge.caller, edge.callee): edge for edge in graph.edges if edge.is_call and edge.callee in inner}
    truth = {(caller, callee): kind for caller, callee, kind in seen if kind != "generator"}
    used = {callee for _, callee, kind in seen if kind == "generator"}  # their callers cannot be observed
    predicted = {pair: edge for pair, edge in predicted.items() if pair in truth or pair[1] not in used}
    explicit = [pair for pair, kind in truth.items() if kind == "explicit"]
    run = {pair for pair, edge in predicted.items() if any((s.path, s.line) in lines for s in edge.sites)}
    missing = [(*pair, kind) for pair, kind in sorted(truth.items()) if pair not in predicted]
    unseen = [(*pair, predicted[pair].kinds[0]) for pair in sorted(run - truth.keys())]
    return Score(
        len(truth), len(explicit), share(len(truth) - len(missing), len(truth)),
        share(sum(pair in predicted for pair in explicit), len(explicit)),
        len(run), share(len(run & truth.keys()), len(run)), missing, unseen,
    )  # fmt: skip


def share(part: int, whole: int) -> float:
    return round(part / whole, 3) if whole else 1.0


class Timed(NamedTuple):
    """A whole package: seconds for the graph and for parsing alone, and what the graph has."""

    name: str
    graph_s: float
    parse_s: float
    functions: int
    edges: int

    @property
    def ratio(self) -> float:
        return round(self.graph_s / self.parse_s, 2)


def whole_package(folder: Path, name: str) -> Timed:
    """Phase A and B over every function of a package, cold, against `ast.parse` of the same files: in CPU seconds."""
    root = str(folder / name)
    files = [Path(root, found.path).read_bytes() for found in walk(root).files]
    gc.collect()
    begin = time.process_time()
    graph = trace(Entry(root, "", ""), everything=True)
    middle = time.process_time()
    gc.disable()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for data in files:
            ast.parse(data)
    end = time.process_time()
    gc.enable()
    assert isinstance(graph, CallGraph)
    return Timed(name, middle - begin, end - middle, graph.coverage.functions, len(graph.edges))


def call_graphs(site_packages: Path | None, rounds: int) -> list[Table]:
    """What `make bench-discovery` shows of call graphs."""
    score = run_time_edges()
    found = [
        at_least(
            f"recall, {score.explicit} edges of explicit call sites seen at run time", score.recall_explicit, 0.90
        ),
        at_least(f"recall, all {score.observed} edges seen at run time", score.recall, 0.75),
        at_least(f"confirmed of {score.predicted} predicted edges whose line was run", score.confirmed, 0.92),
    ]
    for name in ("django", "sqlalchemy"):
        if site_packages is not None and (site_packages / name).is_dir():
            taken = [whole_package(site_packages, name) for _ in range(max(rounds // 2, 1))]
            what = f"graph of all {taken[0].functions:,} functions of {name} / ast.parse, CPU"
            found.append(at_most(what, ratio([t.graph_s for t in taken], [t.parse_s for t in taken]), 7))
    return [verdicts("call graphs", found)]


def at_least(what: str, measured: float, limit: float) -> Verdict:
    answer = "met" if measured >= limit else "MISSED"
    return Verdict(what, f"{measured:.3f}", "", "", f"at least {limit:.2f}", answer)


def main(words: list[str]) -> None:
    score = run_time_edges()
    print(f"run-time edges            {score.observed} seen, {score.explicit} of them at explicit call sites")
    print(f"recall explicit / all     {score.recall_explicit} / {score.recall}")
    print(f"predicted and confirmed   {score.confirmed} of {score.predicted} whose line was run")
    if "-v" in words:
        print(*[f"  missing {kind:10} {a} -> {b}" for a, b, kind in score.missing], sep="\n")
        print(*[f"  unseen  {kind:10} {a} -> {b}" for a, b, kind in score.unseen], sep="\n")
    for folder in (Path(word) for word in words if not word.startswith("-")):
        for name in ("django", "sqlalchemy"):
            if (folder / name).is_dir():
                timed = whole_package(folder, name)
                size = f"{timed.functions} functions, {timed.edges} edges"
                print(f"{name:12} {timed.graph_s:.1f} s, {timed.ratio} x ast.parse; {size}")


if __name__ == "__main__":
    main(sys.argv[1:])
