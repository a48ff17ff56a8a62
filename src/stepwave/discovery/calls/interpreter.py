"""The interpreter as a whole: modules and imports, and what is run from an entry point."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from stepwave.discovery.calls.core import Budget
from stepwave.discovery.calls.heap import FALL, Frame
from stepwave.discovery.calls.library import library_natives
from stepwave.discovery.calls.lower import lower
from stepwave.discovery.calls.statements import Statements
from stepwave.discovery.calls.values import (
    EMPTY,
    UNKNOWN,
    Args,
    Cells,
    Class,
    Code,
    Container,
    External,
    Fact,
    Function,
    Module,
    Partial,
    Value,
    Wrapped,
    in_order,
    join,
    known,
    one,
)
from stepwave.discovery.modules import Missing, Modules
from stepwave.discovery.source import decoded, lines_of, parse, read
from stepwave.discovery.walk import Unread

STACK = 40_000
"""Python frames that an interpretation may nest: a call that is interpreted takes some twenty of our own."""


class Node(NamedTuple):
    """A function, class body or module of the tree, where it is written."""

    name: str
    kind: str
    path: str
    line: int
    column: int


@contextmanager
def room_to_nest() -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, STACK))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


class Interpreter(Statements):
    """Interprets the modules of a tree. `facts` gives the facts of a file, from wherever they are kept."""

    def __init__(self, modules: Modules, facts: Callable[[str], "Fact | Unread"], budget: Budget | None = None) -> None:
        super().__init__(budget or Budget())
        library_natives(self)
        self.tree = modules
        self.facts = facts
        self.loaded: dict[str, Module] = {}
        self.unread: dict[str, Unread] = {}
        self.nodes: dict[str, Node] = {}
        nowhere: Fact = ("scope", "module", "", 1, 1, (), (), "", (), ())
        self.outermost = Frame(Code("<start>", nowhere, Module("", "")), {}, ())

    def code(self, name: str, facts: Fact, module: Module) -> Code:
        """The code of a scope: one for each place where it is written."""
        key = f"{module.path}:{facts[3]}:{facts[4]}:{name}"
        found = self.codes.get(key)
        if found is None:
            found = self.codes[key] = Code(name, facts, module)
            self.nodes.setdefault(name, Node(name, facts[1], module.path, facts[3], facts[4]))
        return found

    # modules

    cut = 0
    """How many packages above the root are left out of names."""

    def module_name(self, path: str) -> str:
        parts = self.tree.name_of[path].split(".")
        return ".".join(parts[self.cut :] or parts[-1:])

    def load(self, path: str) -> Module | None:
        """A module of the tree, run if it has not been; None when it cannot be read. Its packages come first."""
        if path in self.loaded:
            return self.loaded[path]
        if path in self.unread:
            return None
        facts = None if path.endswith("/") else self.facts(path)
        if isinstance(facts, Unread):
            self.unread[path] = facts
            return None
        name = self.module_name(path) if facts else path.rstrip("/").replace("/", ".")
        module = self.loaded[path] = Module(name, path)
        if facts is not None:
            self.run_module(module, facts)
        return module

    def run_module(self, module: Module, facts: Fact) -> None:
        module.code = self.code(module.name, facts, module)
        module.state = "running"
        frame = Frame(module.code, module.cells, ())
        trail, self.trail = self.trail, None  # a module is run once, whichever branch has imported it
        outer = self.enter(frame)
        self.steadily(module.code, lambda: self.block(facts[6], frame))
        self.exit(frame, outer)
        self.trail = trail
        module.state = "done"

    def steadily(self, code: Code, run: Callable[[], object]) -> None:
        """Code that is nested deeper than the interpreter's stack is told as degraded, and the next thing is run."""
        trail, depth = self.trail, self.depth
        try:
            run()
        except RecursionError:
            self.trail, self.depth = trail, depth
            for other in self.codes.values():
                other.running = 0
            self.degrade(code, "it is nested too deeply")

    def submodule(self, module: Module, name: str) -> Value:
        path = self.tree.submodule(module.path, name)
        if path is None or (found := self.load(path)) is None:
            return EMPTY
        return one(found)

    def find(self, name: str, importer: str) -> Value:
        """A module by its dotted name, as a file of the tree would import it."""
        path = self.tree.find(name, importer)
        if path is None:
            return one(External(name))
        parts = name.split(".")
        for count in range(1, len(parts)):
            above = self.tree.find(".".join(parts[:count]), importer)
            if above is not None:
                self.load(above)
        module = self.load(path)
        return UNKNOWN if module is None else one(module)

    def do_import(self, fact: Fact, frame: Frame) -> int:
        for dotted, name in fact[1]:
            found = self.find(dotted, frame.module.path)
            self.imported(found, frame, fact[2:4])
            if name is None and "." in dotted:
                found = self.find(dotted.partition(".")[0], frame.module.path)
            self.assign_name(name or dotted.partition(".")[0], found, frame)
        return FALL

    def imported(self, found: Value, frame: Frame, site: tuple[int, int]) -> None:
        for atom in in_order(found):
            if isinstance(atom, Module) and atom.code is not None:
                self.edge(frame, atom.name, site, "import")

    def do_from(self, fact: Fact, frame: Frame) -> int:
        _, module, level, names, *site = fact
        path = self.tree.find_from(frame.module.path, module, level)
        if isinstance(path, Missing):
            source: Value = one(External(path.name))
        else:
            if not level and module:
                self.find(module, frame.module.path)
            loaded = self.load(path)
            source = UNKNOWN if loaded is None else one(loaded)
        place = (site[0], site[1])
        self.imported(source, frame, place)
        for name, alias in names:
            if name == "*":
                self.import_all(source, frame)
                continue
            value = self.attribute(source, name, frame, place)
            self.imported(value, frame, place)
            self.assign_name(alias or name, value, frame)
        return FALL

    def import_all(self, source: Value, frame: Frame) -> None:
        for atom in in_order(source):
            if not isinstance(atom, Module):
                continue
            listed = [self.items(one(a)) or [] for a in atom.cells.get("__all__", EMPTY) if isinstance(a, Container)]
            public = {a.value for items in listed for value in items for a in value if hasattr(a, "value")}
            for name in list(atom.cells):
                if name in public if listed else not str(name).startswith("_"):
                    self.assign_name(name, atom.cells[name], frame)
            for name in sorted(str(n) for n in public - atom.cells.keys()):
                if found := self.submodule(atom, name):
                    self.assign_name(name, found, frame)

    # entry points

    def finish(self) -> None:
        """Generators and coroutines that nothing has been seen to use: what they would call is called some day."""
        while self.waiting:
            self.force(self.waiting.pop(0))

    def make_up(self) -> None:
        """Run once more, with all that they were given, the functions that were not run for every call."""
        self.finish()
        for code, function in list(self.stale.items()):
            if code.skipped is not None and self.steps < self.budget.steps:
                cells, code.skipped = code.skipped, None
                frame = self.frame_of(function, cells)
                self.steadily(code, partial(self.enter_run, code, frame))
                code.seen = join(code.seen, frame.returns)
                code.yielded = join(code.yielded, frame.yields)
        self.stale.clear()
        self.finish()

    def run_bare(self, function: Function, receiver: Value = EMPTY) -> None:
        """Run a function without knowing its arguments."""
        names = function.code.facts[5][0]
        given = (receiver,) if receiver and names else ()
        cells = self.bound_arguments(function, Args(given, (), None, None))
        if {"y", "a"} & set(function.code.facts[7]):
            for atom in self.suspended(function, cells, "y" not in function.code.facts[7]):
                self.force(atom)
        elif function.code.running == 0:
            frame = self.frame_of(function, cells)
            self.steadily(function.code, lambda: self.enter_run(function.code, frame))
            function.code.seen = join(function.code.seen, frame.returns)

    def roots_of(self, module: Module) -> list[tuple[Function, Value]]:
        """What others can call in a module: its functions and the methods of its classes, in the order of the text."""
        found: dict[Code, tuple[Function, Value]] = {}
        self.gather(module, EMPTY, module, found, {module})
        return sorted(found.values(), key=lambda pair: (pair[0].code.facts[3], pair[0].code.facts[4]))

    def gather(
        self,
        owner: Module | Class,
        receiver: Value,
        module: Module,
        found: dict[Code, tuple[Function, Value]],
        seen: set[object],
    ) -> None:
        for value in list(owner.cells.values()):
            for atom in in_order(value):
                if isinstance(atom, Class):
                    if atom not in seen and atom.code and atom.code.module is module:
                        seen.add(atom)
                        self.gather(atom, self.instance(atom), module, found, seen)
                    continue
                of = one(owner) if isinstance(atom, Wrapped) and atom.kind == "classmethod" else receiver
                for function in functions_in(atom):
                    if function.code.module is module and function.code.kind == "def":
                        plain = isinstance(atom, Wrapped) and atom.kind == "staticmethod"
                        found.setdefault(function.code, (function, EMPTY if plain else of))

    def run_rest(self, module: Module) -> None:
        """Run what lies open in a module and has not been called: constructors first, for they fill the objects."""
        roots = self.roots_of(module)
        for function, receiver in sorted(roots, key=lambda root: root[0].code.facts[2] != "__init__"):
            if function.code.runs == 0 and self.steps < self.budget.steps:
                self.run_bare(function, receiver)
        self.finish()


def functions_in(atom: object, depth: int = 0) -> list[Function]:
    """The functions that an atom is or wraps."""
    if isinstance(atom, Function):
        return [atom]
    parts: list[Value] = []
    if isinstance(atom, Wrapped):
        parts = [atom.get, atom.set, atom.delete]
    elif isinstance(atom, Partial):
        parts = [atom.function, *atom.args.positional]
    return (
        [f for part in parts for inner in in_order(part) for f in functions_in(inner, depth + 1)] if depth < 3 else []
    )


def facts_of(root: str, path: str) -> Fact | Unread:
    """Phase A for one file: read, parse, lower; the tree is dropped at once."""
    data = read(root, path)
    if isinstance(data, Unread):
        return data
    tree = parse(path, data)
    if isinstance(tree, Unread):
        return tree
    try:
        return lower(tree, None if data.isascii() else lines_of(decoded(data)))
    except RecursionError:
        return Unread(path, 1, 1, "does not parse: too deeply nested")


__all__ = ["Cells", "Interpreter", "Node", "facts_of", "known", "room_to_nest"]
