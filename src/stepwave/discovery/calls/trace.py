"""From an entry point to a call graph."""

import gc
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from stepwave.core.diagnostics import COMMAND_LINE, Diagnostic, Place, did_you_mean, error
from stepwave.discovery.calls.core import LARGE_FILES, THRIFTY, Budget, Core
from stepwave.discovery.calls.interpreter import Interpreter, Node, facts_of, room_to_nest
from stepwave.discovery.calls.result import CallGraph, Coverage, Edge, Unresolved
from stepwave.discovery.calls.values import (
    Bound,
    Class,
    Fact,
    Function,
    Module,
    Value,
    Wrapped,
    forget_orders,
    in_order,
)
from stepwave.discovery.modules import Modules, packages_above
from stepwave.discovery.walk import Unread, walk


class Entry(NamedTuple):
    """An entry point: a file below a root, and a function in it, or none for the whole file.

    `named_below` cuts the packages that the root lies in off the names: a root that was asked for is where names begin.
    """

    root: str
    path: str
    function: str
    named_below: bool = False


def find_entry(text: str, root: str | None) -> Entry | Diagnostic:
    """What `path.py`, `path.py:func`, `module:func` or a folder mean."""
    if root is not None and not Path(root).is_dir():
        return error("cannot-read", f"`{root}`: no such folder", Place(COMMAND_LINE))
    base = None if root is None else Path(root).absolute()
    name, function = (text, "") if Path(text).exists() else (text.partition(":")[0], text.partition(":")[2])
    if name and not function and Path(name).is_dir():
        return Entry(str(Path(name).absolute()), "", "")
    for file in (Path(name), *([base / name] if base else [])):
        if file.is_file():
            return at_file(file.absolute(), function, base)
    found = at_module(name, function, base or Path.cwd())
    if found is not None:
        return found
    help_ = "give a file, `file.py:function` or `module:function`"
    return error("no-entry-point", f"there is no file and no module `{name}`", Place(COMMAND_LINE), help_)


def at_file(file: Path, function: str, base: Path | None) -> Entry | Diagnostic:
    given = base is not None
    base = base or top_of(file)
    if not file.is_relative_to(base):
        return error("no-entry-point", f"`{file}` does not lie below the root `{base}`", Place(COMMAND_LINE))
    return Entry(str(base), file.relative_to(base).as_posix(), function, given)


def top_of(file: Path) -> Path:
    """The folder above the outermost package that a file lies in."""
    folder = file.parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder


def at_module(name: str, function: str, base: Path) -> Entry | None:
    stem = name.replace(".", "/")
    for folder in ("", "src/", "lib/"):
        for path in (f"{folder}{stem}.py", f"{folder}{stem}/__init__.py"):
            if name and (base / path).is_file():
                return Entry(str(base), path, function)
    return None


def trace(
    entry: Entry,
    everything: bool = False,
    fuzzy: bool = False,
    budget: Budget | None = None,
    facts: Callable[[str], Fact | Unread] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CallGraph | Diagnostic:
    """Interpret from an entry point. `everything` runs every function of the tree that nothing was seen to call.

    `facts` gives the facts of a file, by default from the file itself; `progress` is told how many files have been
    read, of how many there are.
    """
    paths = [found.path for found in walk(entry.root).files]
    if entry.path and entry.path not in paths:
        paths.append(entry.path)
    modules = Modules(paths, packages_above(entry.root))
    if budget is None and everything and len(paths) > LARGE_FILES:
        budget = THRIFTY

    def facts_told(path: str) -> Fact | Unread:
        if progress:
            progress(len(machine.loaded), len(paths))
        return facts(path) if facts else facts_of(entry.root, path)

    machine = Interpreter(modules, facts_told, budget)
    if entry.named_below:
        machine.cut = len(packages_above(entry.root))
    collecting = gc.isenabled()
    gc.disable()  # many small values, hardly a cycle that ends before we do
    try:
        with room_to_nest():
            names = interpret(machine, entry, everything)
        if isinstance(names, Diagnostic):
            return names
        graph = collected(machine, names, fuzzy)
        return graph if everything else graph.part(graph.reachable(names))
    finally:
        forget_orders()
        if collecting:
            gc.enable()


def interpret(machine: Interpreter, entry: Entry, everything: bool) -> tuple[str, ...] | Diagnostic:
    """The names of the entry, when all that it leads to has been run."""
    names: tuple[str, ...] = ()
    if entry.path:
        machine.main_path = entry.path
        module = machine.load(entry.path)
        if module is None:
            problem = machine.unread[entry.path]
            place = Place(f"{entry.root}/{problem.path}", problem.line, problem.column, problem.line, problem.column)
            return error("not-python", problem.reason, place, "a call graph needs a file that Python can parse")
        machine.make_up()
        found = run_entry(machine, module, entry.function)
        if isinstance(found, Diagnostic):
            return found
        names = found
    if everything:
        run_everything(machine)
        names = names if entry.path else tuple(sorted(m.name for m in machine.loaded.values()))
    machine.make_up()
    return names


def run_entry(machine: Interpreter, module: Module, function: str) -> tuple[str, ...] | Diagnostic:
    if not function:
        machine.run_rest(module)
        return (module.name, *dict.fromkeys(f.code.name for f, _ in machine.roots_of(module)))
    found = functions_of(machine, module, function)
    if not found:
        known = [f.code.name.removeprefix(f"{module.name}.") for f, _ in machine.roots_of(module)]
        place = Place(module.path)
        return error(
            "no-entry-point", f"`{module.path}` has no function `{function}`", place, did_you_mean(function, known)
        )
    for target, receiver in found:
        machine.run_bare(target, receiver)
    machine.finish()
    return tuple(dict.fromkeys(target.code.name for target, _ in found))


def functions_of(machine: Interpreter, module: Module, dotted: str) -> list[tuple[Function, Value]]:
    """The functions that `run` or `Worker.run` names, and what they are bound to; a class means its constructor."""
    value: Value = frozenset({module})
    receiver: Value = frozenset()
    for part in dotted.split("."):
        receiver = frozenset().union(*[machine.instance(atom) for atom in value if isinstance(atom, Class)])
        value = frozenset().union(*[atom.cells.get(part, frozenset()) for atom in value if hasattr(atom, "cells")])
    found: list[tuple[Function, Value]] = []
    for atom in in_order(value):
        match atom:
            case Function():
                found.append((atom, receiver))
            case Bound(Function() as function, bound_to):
                found.append((function, frozenset({bound_to})))
            case Wrapped():
                found += [(f, receiver if atom.kind != "staticmethod" else frozenset()) for f in atom.get]
            case Class() if inits := atom.cells.get("__init__"):
                found += [(f, machine.instance(atom)) for f in inits if isinstance(f, Function)]
    return found


def run_everything(machine: Interpreter) -> None:
    for path in sorted(machine.tree.name_of):
        machine.load(path)
    machine.finish()
    for path in sorted(machine.loaded):
        machine.run_rest(machine.loaded[path])


def collected(machine: Interpreter, names: tuple[str, ...], fuzzy: bool) -> CallGraph:
    """What the interpreter has seen, as a value."""
    edges = [
        Edge(caller, callee, tuple(sorted(sites)), tuple(sites[spot] for spot in sorted(sites)))
        for caller, callees in machine.edges.items()
        for callee, sites in callees.items()
    ]
    misses = [
        Unresolved(caller, spot, name, reason)
        for (caller, spot), (name, reason) in machine.missed.items()
        if not fuzzy or not guess(machine, edges, caller, spot, name)
    ]
    known = set(machine.nodes)
    spots = {(edge.caller, spot) for edge in edges if edge.is_call for spot in edge.sites}
    count = sum(node.kind in ("def", "lambda") for node in machine.nodes.values())
    missing = {(miss.caller, miss.spot) for miss in misses} - spots
    coverage = Coverage(len(machine.loaded), count, len(spots | missing), len(missing), machine.steps)
    nodes = {name: machine.nodes[name] for name in sorted(known)}
    unread = tuple(sorted(machine.unread.values()))
    degraded = dict(sorted(machine.degraded.items()))
    return CallGraph(
        machine.main_path, names, nodes, tuple(sorted(edges)), tuple(sorted(misses)), degraded, unread, coverage
    )


def guess(machine: Core, edges: list[Edge], caller: str, spot: object, name: str) -> bool:
    """`--fuzzy`: link a method of that name when the tree has at most three."""
    last = name.rpartition(".")[2]
    if "." not in name or not last.isidentifier():
        return False
    found = sorted({f.code.name for of in machine.classes for f in of.cells.get(last, ()) if isinstance(f, Function)})
    if not 1 <= len(found) <= 3:
        return False
    edges += [Edge(caller, callee, (spot,), ("fuzzy",)) for callee in found]  # type: ignore[arg-type]
    return True


__all__ = ["Entry", "Node", "find_entry", "trace"]
