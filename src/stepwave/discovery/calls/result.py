"""A call graph as a value, and what can be asked of it."""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from stepwave.discovery.calls.core import Spot
from stepwave.discovery.calls.interpreter import Node
from stepwave.discovery.walk import Unread

STRUCTURE = frozenset(("class body", "import"))
"""Kinds of edges by which code is run without being called."""


class Edge(NamedTuple):
    """One function calls another, at these places. `kinds` says how, place by place."""

    caller: str
    callee: str
    sites: tuple[Spot, ...]
    kinds: tuple[str, ...]

    @property
    def is_call(self) -> bool:
        return not STRUCTURE.issuperset(self.kinds)


class Unresolved(NamedTuple):
    """A place where something is called that is not known."""

    caller: str
    spot: Spot
    name: str
    reason: str


class Coverage(NamedTuple):
    """How much of the tree the answer stands on."""

    files: int
    functions: int
    call_sites: int
    unresolved: int
    steps: int


class CallGraph(NamedTuple):
    """Who calls whom. Nodes by name; edges in the order of caller and callee; nothing that was not read is hidden.

    `file` is that of the entry point, empty for a whole tree. `entry` are the names that the graph was traced from,
    `degraded` the functions whose budget was used up with the reason, `unread` the files that could not be read.
    """

    file: str
    entry: tuple[str, ...]
    nodes: dict[str, Node]
    edges: tuple[Edge, ...]
    unresolved: tuple[Unresolved, ...]
    degraded: dict[str, str]
    unread: tuple[Unread, ...]
    coverage: Coverage

    def callees(self, name: str) -> list[str]:
        """What a function calls, in the order of the first call."""
        mine = [edge for edge in self.edges if edge.caller == name and edge.is_call]
        return [edge.callee for edge in sorted(mine, key=by_site)]

    def callers(self, name: str) -> list[str]:
        """Who calls a function."""
        return sorted({edge.caller for edge in self.edges if edge.callee == name and edge.is_call})

    def path(self, start: str, goal: str) -> list[str]:
        """A shortest chain of calls from one function to another; empty when there is none."""
        after = links(self.edges)
        before: dict[str, str] = {start: ""}
        queue = deque([start])
        while queue:
            name = queue.popleft()
            if name == goal:
                return chain(before, goal)
            for callee in after.get(name, ()):
                if callee not in before:
                    before[callee] = name
                    queue.append(callee)
        return []

    def reachable(self, names: Iterable[str], backward: bool = False, depth: int | None = None) -> dict[str, int]:
        """Everything that can be reached from some functions, with the number of calls to it."""
        after = links(self.edges, backward)
        far = dict.fromkeys(names, 0)
        queue = deque(far)
        while queue:
            name = queue.popleft()
            if depth is not None and far[name] >= depth:
                continue
            for other in after.get(name, ()):
                if other not in far:
                    far[other] = far[name] + 1
                    queue.append(other)
        return far

    def cycles(self) -> list[list[str]]:
        """Groups of functions that call each other in a circle, and functions that call themselves."""
        after = links(edge for edge in self.edges if edge.is_call)
        groups = [sorted(group) for group in components(after) if len(group) > 1 or group[0] in after.get(group[0], ())]
        return sorted(groups)

    def unreachable(self) -> list[str]:
        """Functions of the tree that no call from the entry reaches."""
        reached = self.reachable(self.entry)
        return sorted(n.name for n in self.nodes.values() if n.kind in ("def", "lambda") and n.name not in reached)

    def part(self, names: Iterable[str]) -> "CallGraph":
        """The graph of some of the functions only."""
        kept = set(names)
        edges = tuple(edge for edge in self.edges if edge.caller in kept and edge.callee in kept)
        nodes = {name: node for name, node in self.nodes.items() if name in kept}
        left = tuple(miss for miss in self.unresolved if miss.caller in kept)
        return self._replace(nodes=nodes, edges=edges, unresolved=left)


def by_site(edge: Edge) -> tuple[Spot, bool, str]:
    """The order of the text; at one place objects are made before anything is done with them."""
    return edge.sites[0], edge.kinds[0] != "constructor", edge.callee


def links(edges: Iterable[Edge], backward: bool = False) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for edge in edges:
        near, far = (edge.callee, edge.caller) if backward else (edge.caller, edge.callee)
        found.setdefault(near, []).append(far)
    return found


def chain(before: dict[str, str], goal: str) -> list[str]:
    names = [goal]
    while before[names[-1]]:
        names.append(before[names[-1]])
    return names[::-1]


def components(after: dict[str, list[str]]) -> list[list[str]]:
    """The strongly connected components (Tarjan 1972), without recursion."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    held: set[str] = set()
    found: list[list[str]] = []
    for root in sorted(after):
        work = [(root, iter(after[root]))] if root not in number else []
        while work:
            name, rest = work[-1]
            if name not in number:
                number[name] = low[name] = len(number)
                stack.append(name)
                held.add(name)
            for other in rest:
                if other not in number:
                    work.append((other, iter(after.get(other, ()))))
                    break
                if other in held:
                    low[name] = min(low[name], number[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[name])
                if low[name] == number[name]:
                    found.append(cut(stack, held, name))
    return found


def cut(stack: list[str], held: set[str], name: str) -> list[str]:
    index = stack.index(name)
    group = stack[index:]
    del stack[index:]
    held.difference_update(group)
    return group
