"""The call graph of small programs, one for each feature of the language, is what running them shows.

A line `# also: a -> b` in a program names an edge that no run can show (the other branch), `# seen: a -> b` one that
the observer sees from elsewhere than where the call is written (a coroutine that the event loop starts).
"""

import builtins
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from stepwave.discovery.calls.result import CallGraph
from stepwave.discovery.calls.trace import Entry, trace

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus"
PROGRAMS = sorted(path.parent.name for path in CORPUS.glob("*/main.py"))
TYPES = {name for name in dir(builtins) if isinstance(getattr(builtins, name), type)}

Edges = set[tuple[str, str]]


@cache
def observed() -> dict[str, Edges]:
    """One process runs all programs."""
    folders = [str(CORPUS / name) for name in PROGRAMS]
    command = [sys.executable, "-I", str(HERE / "observe.py"), *folders]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return {Path(root).name: {(a, b) for a, b in edges} for root, edges in json.loads(done.stdout).items()}


def noted(name: str, word: str) -> Edges:
    text = (CORPUS / name / "main.py").read_text("utf-8")
    return set(re.findall(rf"^# {word}: (\S+) -> (\S+)$", text, re.MULTILINE))


def predicted(name: str) -> Edges:
    graph = trace(Entry(str(CORPUS / name), "main.py", ""))
    assert isinstance(graph, CallGraph)
    return {(edge.caller, edge.callee) for edge in graph.edges if edge.is_call}


def can_be_seen(callee: str) -> bool:
    """Of what lies outside of the program, only functions in C: a type like `str` is called without a sign."""
    kind, _, name = callee.partition(".")
    return kind == "main" or (kind == "<builtin>" and name not in TYPES and not name.startswith("__"))


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_graph_is_what_a_run_shows(name: str) -> None:
    also, elsewhere = noted(name, "also"), noted(name, "seen")
    truth = observed()[name] - elsewhere | also
    modules = {path.stem for path in (CORPUS / name).rglob("*.py")} | {p.name for p in (CORPUS / name).iterdir()}
    mine = {(a, b) for a, b in predicted(name) if can_be_seen(b) or b.partition(".")[0] in modules}
    assert sorted(mine) == sorted(truth)


def test_there_are_programs_for_every_feature() -> None:
    assert len(PROGRAMS) >= 100
