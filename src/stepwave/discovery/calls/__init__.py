"""Who calls whom: a call graph from an entry point, found by interpreting the program without running it.

`call_graph` gives all that is known; `build_call_graph` the plain dictionary. docs/call-graphs.md tells how far to
trust them.
"""

from os import PathLike, fspath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stepwave.discovery.calls.result import CallGraph

__all__ = ["build_call_graph", "call_graph"]

MODULE = "<module>"


def call_graph(
    entry_point: str | PathLike[str],
    repo_root: str | PathLike[str] | None = None,
    *,
    everything: bool = False,
    fuzzy: bool = False,
) -> "CallGraph":
    """The call graph from an entry point: `path.py`, `path.py:func`, `module:func`, or a folder for all below it.

    A file without a function stands for its body and for all functions in it that others can call. `everything` adds
    every function below the root that no call reaches. `fuzzy` links a method call whose object is not known to the
    methods of that name, where there are at most three. Raises FileNotFoundError when there is no such file, folder or
    module, LookupError when it has no such function, and SyntaxError when the file does not parse.
    """
    from stepwave.core.diagnostics import Diagnostic
    from stepwave.discovery.calls.trace import find_entry, trace

    entry = find_entry(fspath(entry_point), None if repo_root is None else fspath(repo_root))
    if isinstance(entry, Diagnostic):
        raise FileNotFoundError(entry.message)
    graph = trace(entry, everything or not entry.path, fuzzy)
    if not isinstance(graph, Diagnostic):
        return graph
    if graph.code == "not-python":
        raise SyntaxError(graph.message, (graph.place.path, graph.place.line, graph.place.column, None))
    raise LookupError(graph.message)


def build_call_graph(
    entry_point: str | PathLike[str], repo_root: str | PathLike[str] | None = None
) -> dict[str, list[str]]:
    """What each function that an entry point leads to calls, each callee once, in the order of the first call.

    Functions of the entry's own file go by their qualified names (`run`, `Worker.run`), its body by `<module>`, those
    of other files with their module in front, `package.module.Worker.run`; what lies outside of the tree by the name
    that one would write, `os.path.join`, `<builtin>.print`. An entry point that is not there or does not parse: {}.
    """
    try:
        graph = call_graph(entry_point, repo_root)
    except (OSError, LookupError, SyntaxError):
        return {}
    own = next((node.name for node in graph.nodes.values() if node.kind == "module" and node.path == graph.file), "")
    bodies = {node.name for node in graph.nodes.values() if node.kind == "module"}
    found: dict[str, list[str]] = {}
    called = {edge.caller for edge in graph.edges if edge.is_call}
    for node in graph.nodes.values():
        if node.kind in ("def", "lambda") or node.name in called:
            name = _short(node.name, own, bodies)
            callees = [_short(callee, own, set()) for callee in graph.callees(node.name)]
            found[name] = list(dict.fromkeys([*found.get(name, ()), *callees]))
    return found


def _short(name: str, own: str, bodies: set[str]) -> str:
    if name in bodies:
        return MODULE if name == own else f"{name}.{MODULE}"
    return name.removeprefix(f"{own}.") if own else name
