"""A call graph as text: a tree for people, and what other programs read: dot, mermaid, graphml, pycg, JSON.

Every drawing has its lines in a stable order, and shows what comes from a file harmless.
"""

import json
from collections.abc import Callable, Iterable

from stepwave.core.text import harmless
from stepwave.discovery.calls.result import STRUCTURE, CallGraph, Edge, by_site

FORMATS = ("tree", "json", "pycg", "dot", "mermaid", "graphml")
_marks = {"property": "property", "dunder": "by the language", "callback": "callback", "decorator": "decorator"}


def draw(graph: CallGraph, format: str, *, backward: bool = False, depth: int | None = None) -> str:
    """A graph in one of the FORMATS, with a newline at the end. `backward` and `depth` shape the tree only."""
    if format == "tree":
        return as_tree(graph, backward, depth)
    drawings: dict[str, Callable[[CallGraph], str]] = {
        "json": as_json, "pycg": as_pycg, "dot": as_dot, "mermaid": as_mermaid, "graphml": as_graphml,
    }  # fmt: skip
    return drawings[format](graph)


# tree


def as_tree(graph: CallGraph, backward: bool = False, depth: int | None = None) -> str:
    """What each entry calls, indented; what has been shown above is not unfolded again, but marked `…`."""
    near: dict[str, list[Edge]] = {}
    for edge in graph.edges:
        if not STRUCTURE.issuperset(edge.kinds):
            near.setdefault(edge.callee if backward else edge.caller, []).append(edge)
    for edges in near.values():
        edges.sort(key=(lambda edge: edge.caller) if backward else by_site)
    lines: list[str] = []
    shown: set[str] = set()
    for name in _roots(graph, near):
        if name not in shown:
            lines.append(f"{harmless(name)}{_place(graph, name)}")
            _branches(graph, name, near, backward, depth, lines, shown)
    return "".join(f"{line}\n" for line in lines)


def _roots(graph: CallGraph, near: dict[str, list[Edge]]) -> list[str]:
    """The entries first; a class body stands for itself, for nobody calls it."""
    bodies = [node.name for node in graph.nodes.values() if node.kind in ("class", "module") and node.name in near]
    return [*(name for name in graph.entry if name in graph.nodes), *bodies]


def _branches(
    graph: CallGraph, root: str, near: dict[str, list[Edge]], backward: bool, depth: int | None,
    lines: list[str], shown: set[str],
) -> None:  # fmt: skip
    shown.add(root)
    stack = [iter(_last_marked(near.get(root, ())))] if depth is None or depth > 0 else []
    margins = [""]
    while stack:
        edge, last = next(stack[-1], (None, False))
        if edge is None:
            stack.pop()
            margins.pop()
            continue
        name = edge.caller if backward else edge.callee
        again = name in shown and bool(near.get(name))
        note = _note(edge, again)
        lines.append(f"{margins[-1]}{'└─ ' if last else '├─ '}{harmless(name)}{_place(graph, name)}{note}")
        if name not in shown and (depth is None or len(stack) < depth):
            shown.add(name)
            stack.append(iter(_last_marked(near.get(name, ()))))
            margins.append(margins[-1] + ("   " if last else "│  "))


def _last_marked(edges: Iterable[Edge]) -> list[tuple[Edge | None, bool]]:
    listed = list(edges)
    return [(edge, index == len(listed) - 1) for index, edge in enumerate(listed)]


def _place(graph: CallGraph, name: str) -> str:
    node = graph.nodes.get(name)
    return f"  {harmless(node.path)}:{node.line}" if node else ""


def _note(edge: Edge, again: bool) -> str:
    kinds = sorted({_marks.get(kind, kind) for kind in edge.kinds} - {"explicit", "constructor"})
    return (f"  ({', '.join(kinds)})" if kinds else "") + ("  …" if again else "")


# for programs


def as_json(graph: CallGraph) -> str:
    """All that is known, sites, reasons and coverage too."""
    document = {
        "entry": list(graph.entry),
        "nodes": [node._asdict() for node in graph.nodes.values()],
        "edges": [
            {
                "caller": edge.caller,
                "callee": edge.callee,
                "sites": [{**s._asdict(), "kind": kind} for s, kind in zip(edge.sites, edge.kinds, strict=True)],
            }
            for edge in graph.edges
        ],
        "unresolved": [
            {"caller": miss.caller, **miss.spot._asdict(), "name": miss.name, "reason": miss.reason}
            for miss in graph.unresolved
        ],
        "degraded": graph.degraded,
        "unread": [unread._asdict() for unread in graph.unread],
        "coverage": graph.coverage._asdict(),
    }
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


def as_pycg(graph: CallGraph) -> str:
    """Caller -> sorted callees, as the PyCG benchmark writes them: modules too, class bodies only where they call."""
    called: dict[str, set[str]] = {n.name: set() for n in graph.nodes.values() if n.kind != "class"}
    for edge in graph.edges:
        kinds = set(edge.kinds) - STRUCTURE
        if kinds:
            called.setdefault(edge.caller, set()).add(edge.callee)
            called.setdefault(edge.callee, set())
    return json.dumps({name: sorted(callees) for name, callees in sorted(called.items())}, indent=2) + "\n"


def _drawn(graph: CallGraph) -> tuple[list[str], list[Edge]]:
    edges = [edge for edge in graph.edges if edge.is_call]
    ends = {edge.caller for edge in edges} | {edge.callee for edge in edges}
    names = sorted(ends | {n.name for n in graph.nodes.values() if n.kind in ("def", "lambda")})
    return names, edges


def as_dot(graph: CallGraph) -> str:
    names, edges = _drawn(graph)
    lines = ["digraph calls {", "  rankdir=LR;", "  node [shape=box];"]
    lines += [f"  {_quoted(name)}{'' if name in graph.nodes else ' [style=dashed]'};" for name in names]
    lines += [f"  {_quoted(e.caller)} -> {_quoted(e.callee)};" for e in edges]
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    inner = harmless(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{inner}"'


def as_mermaid(graph: CallGraph) -> str:
    names, edges = _drawn(graph)
    number = {name: f"n{index}" for index, name in enumerate(names)}
    lines = ["flowchart LR", *(f'  {number[name]}["{_entity(name)}"]' for name in names)]
    lines += [f"  {number[edge.caller]} --> {number[edge.callee]}" for edge in edges]
    return "\n".join(lines) + "\n"


def _entity(text: str) -> str:
    marks = {"&": "&amp;", '"': "&quot;", "<": "&lt;", ">": "&gt;"}
    return "".join(marks.get(char, char) for char in harmless(text))


def as_graphml(graph: CallGraph) -> str:
    """GraphML 1.0 (graphml.graphdrawing.org), with the kinds of the calls and where functions are written."""
    names, edges = _drawn(graph)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">',
        '  <key id="path" for="node" attr.name="path" attr.type="string"/>',
        '  <key id="line" for="node" attr.name="line" attr.type="int"/>',
        '  <key id="kinds" for="edge" attr.name="kinds" attr.type="string"/>',
        '  <graph edgedefault="directed">',
    ]
    for name in names:
        node = graph.nodes.get(name)
        inner = f'<data key="path">{_entity(node.path)}</data><data key="line">{node.line}</data>' if node else ""
        lines.append(f'    <node id="{_entity(name)}">{inner}</node>')
    for edge in edges:
        kinds = ",".join(sorted(set(edge.kinds)))
        ends = f'source="{_entity(edge.caller)}" target="{_entity(edge.callee)}"'
        lines.append(f'    <edge {ends}><data key="kinds">{kinds}</data></edge>')
    return "\n".join([*lines, "  </graph>", "</graphml>"]) + "\n"
