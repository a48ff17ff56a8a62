"""Do all tools do the same work? Each runs a small graph whose steps write down when they start and when they end."""

import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks.graphs import Graph, layered

MARK = """#!/bin/sh
echo "start $1" >>trace
sleep 0.01
echo "end $1" >>trace
"""


def marked_graph(folder: Path) -> Graph:
    """20 steps in 4 layers. Each appends two lines to `trace` in the folder it runs in, which must be `folder`."""
    script = folder / "mark"
    script.write_text(MARK)
    os.chmod(script, 0o755)  # noqa: PTH101 - the two read alike
    return layered(4, 5, lambda id: ("./mark", id))


def faults(graph: Graph, trace: Sequence[str], width: int) -> list[str]:
    """What is wrong with a trace: a step that ran never or twice, before its needs, or with too many at a time."""
    found = []
    needs = {step.id: step.needs for step in graph}
    starts: dict[str, int] = dict.fromkeys(needs, 0)
    ended: set[str] = set()
    running = most = 0
    for line in trace:
        word, id = line.split()
        if word == "start":
            starts[id] += 1
            running += 1
            most = max(most, running)
            if not ended.issuperset(needs[id]):
                found.append(f"{id} started too early")
        else:
            running -= 1
            ended.add(id)
    found += [f"{id} ran {count} times" for id, count in starts.items() if count != 1]
    if most > width:
        found.append(f"{most} at a time")
    if most < width:
        found.append("one at a time" if most == 1 else f"only {most} at a time")
    return found
