"""What `discover calls` and `graph X.py` do: print a call graph, or what was asked of it."""

import os
from collections.abc import Sequence
from typing import NamedTuple

from stepwave.cli import terminal
from stepwave.cli.code import shown, told
from stepwave.core.diagnostics import COMMAND_LINE, Diagnostic, Place, did_you_mean, error
from stepwave.core.text import harmless, plural
from stepwave.discovery.calls.drawings import FORMATS, draw
from stepwave.discovery.calls.result import CallGraph, Edge
from stepwave.discovery.calls.trace import Entry, find_entry, trace
from stepwave.discovery.rows import Report, Row


class Asked(NamedTuple):
    """The command line. `to` is the function that a path should lead to."""

    entry: str
    root: str | None = None
    everything: bool = False
    callers: bool = False
    depth: int | None = None
    fuzzy: bool = False
    to: str | None = None
    cycles: bool = False
    unreachable: bool = False
    format: str = ""
    output: str | None = None
    color: str = "auto"


def run(asked: Asked) -> int:
    """0 when something is called, 1 when nothing is, 2 when the entry point cannot be read."""
    entry = find_entry(asked.entry, asked.root)
    if isinstance(entry, Diagnostic):
        return told.fail(entry)
    whole = asked.everything or asked.callers or asked.unreachable or not entry.path
    try:
        with told.progress("reading") as progress:
            graph = trace(entry, whole, asked.fuzzy, progress=progress)
    except OSError as problem:
        return told.cannot_read(problem.filename or asked.entry, problem)
    if isinstance(graph, Diagnostic):
        place = graph.place._replace(path=asked.entry.partition(":")[0])
        return told.fail(graph._replace(place=place))
    if asked.to is not None:
        return _path(graph, asked.to)
    if asked.cycles or asked.unreachable:
        groups = graph.cycles() if asked.cycles else [[name] for name in graph.unreachable()]
        return _names([" ".join(harmless(name) for name in group) for group in groups], graph)
    return _show(chosen(graph, asked, entry), asked)


def chosen(graph: CallGraph, asked: Asked, entry: Entry) -> CallGraph:
    """The part of the graph that was asked for."""
    if not entry.path or (asked.everything and not asked.callers and asked.depth is None):
        return graph
    near = graph.reachable(graph.entry, backward=asked.callers, depth=asked.depth)
    return graph.part(near)


def _show(graph: CallGraph, asked: Asked) -> int:
    format = asked.format or "tree"
    if format in FORMATS:
        code = terminal.write(draw(graph, format, backward=asked.callers, depth=asked.depth), asked.output)
        if code == 0:
            terminal.talk(summary(graph) if format != "json" else [])
        return code or int(not any(edge.is_call for edge in graph.edges))
    prefix = _prefix(asked)
    rows = sorted(row for edge in graph.edges if edge.is_call for row in _rows(edge, prefix))
    report = Report("call", rows, graph.coverage.files, graph.unread, {"entry": list(graph.entry)})
    return shown.show(report, format, asked.color)


def _prefix(asked: Asked) -> str:
    """What leads from here to the paths of the graph."""
    entry = find_entry(asked.entry, asked.root)
    root = entry.root if isinstance(entry, Entry) else "."
    here = os.path.relpath(root)
    return "" if here == "." else f"{here}/"


def _rows(edge: Edge, prefix: str) -> list[Row]:
    rows = []
    for spot, kind in zip(edge.sites, edge.kinds, strict=True):
        path = f"{prefix}{spot.path}"
        fields: dict[str, object] = {
            "path": path, "line": spot.line, "column": spot.column, "kind": kind, "caller": edge.caller,
            "callee": edge.callee,
        }  # fmt: skip
        text = f"{edge.caller} -> {edge.callee}"
        rows.append(Row(path, spot.line, spot.column, spot.column, kind, text, fields))
    return rows


def summary(graph: CallGraph) -> list[str]:
    """What every answer says: how much was read, and what is not known."""
    calls = sum(edge.is_call for edge in graph.edges)
    lines = [f"{harmless(u.path)}:{u.line}:{u.column}: {harmless(u.reason)}" for u in graph.unread]
    told_of = len({(miss.caller, miss.spot) for miss in graph.unresolved})
    lines.append(f"{plural(calls, 'edge')} in {plural(graph.coverage.files, 'file')}")
    if told_of:
        lines[-1] += f"; {plural(told_of, 'call')} of what is not known (--format json tells which)"
    if graph.degraded:
        lines[-1] += f"; {plural(len(graph.degraded), 'function')} not run for every call"
    return lines


def _path(graph: CallGraph, goal: str) -> int:
    names = [node.name for node in graph.nodes.values()] + [edge.callee for edge in graph.edges]
    matching = sorted({name for name in names if name == goal or name.endswith(f".{goal}")})
    if not matching:
        near = did_you_mean(goal, {name.rpartition(".")[2] for name in names} | set(names))
        told.fail(error("no-such-function", f"nothing in this graph is called `{goal}`", Place(COMMAND_LINE), near))
        return 1
    paths = (path for start in graph.entry for name in matching if (path := graph.path(start, name)))
    return _names([harmless(name) for name in next(paths, [])], graph)


def _names(lines: Sequence[str], graph: CallGraph) -> int:
    code = terminal.write("".join(f"{line}\n" for line in lines))
    terminal.talk(summary(graph))
    return code or int(not lines)
