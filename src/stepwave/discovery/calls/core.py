"""What every part of the interpreter stands on: the heap, the graph that grows, and names of what is called."""

from typing import NamedTuple

from stepwave.discovery.calls.heap import Frame, Heap
from stepwave.discovery.calls.values import (
    EMPTY,
    UNKNOWN,
    Args,
    Cells,
    Class,
    Code,
    External,
    Fact,
    Function,
    Generator,
    Instance,
    Module,
    Unknown,
    Value,
    in_order,
)

Place = tuple[int, int]


class Spot(NamedTuple):
    """Where a call is written. Lines and columns count from 1."""

    path: str
    line: int
    column: int


class Budget(NamedTuple):
    """How much is interpreted. `steps` are statements; `runs` says how often a function is run anew while so many
    steps have been taken, and how many steps its runs may take without being counted; afterwards what it has returned
    so far stands for it. `depth` is the depth of calls."""

    steps: int = 4_000_000
    runs: tuple[tuple[int, int, int], ...] = (
        (20_000, 40, 3_000), (60_000, 12, 2_500), (150_000, 2, 100), (1 << 62, 1, 10),
    )  # fmt: skip
    depth: int = 48


LARGE_FILES = 150
"""A tree of more files is interpreted thriftily from the start, when all of it is."""
THRIFTY = Budget(runs=((1 << 62, 1, 10),))


class Core(Heap):
    """The state of one interpretation. The methods that raise NotImplementedError are what a later layer brings."""

    def __init__(self, budget: Budget) -> None:
        super().__init__()
        self.budget = budget
        self.steps = 0
        self.depth = 0
        self.edges: dict[str, dict[str, dict[Spot, str]]] = {}
        self.codes: dict[str, Code] = {}
        self.missed: dict[tuple[str, Spot], tuple[str, str]] = {}
        self.reached: set[tuple[str, Spot]] = set()
        self.degraded: dict[str, str] = {}
        self.waiting: list[Generator] = []
        self.classes: list[Class] = []
        self.stale: dict[Code, Function] = {}

    # the graph

    def edge(self, frame: Frame, callee: str, site: Place, kind: str) -> None:
        spot = Spot(frame.module.path, *site)
        self.edges.setdefault(frame.code.name, {}).setdefault(callee, {}).setdefault(spot, kind)

    def miss(self, frame: Frame, name: str, site: Place, why: str) -> None:
        """A call whose callee is not known."""
        self.missed.setdefault((frame.code.name, Spot(frame.module.path, *site)), (name, why))

    def degrade(self, code: Code, why: str) -> None:
        self.degraded.setdefault(code.name, why)

    # brought by later layers

    def call(
        self, value: Value, args: Args, frame: Frame, site: Place, kind: str = "explicit", name: str = ""
    ) -> Value:
        raise NotImplementedError

    def call_function(self, function: Function, args: Args, frame: Frame, site: Place, kind: str) -> Value:
        raise NotImplementedError

    def construct(self, of: Class, args: Args, frame: Frame, site: Place) -> Value:
        raise NotImplementedError

    def attribute(self, value: Value, name: str, frame: Frame, site: Place) -> Value:
        raise NotImplementedError

    def set_attribute(self, value: Value, name: str, new: Value, frame: Frame, site: Place) -> None:
        raise NotImplementedError

    def iterate(self, value: Value, frame: Frame, site: Place) -> Value:
        raise NotImplementedError

    def force(self, generator: Generator) -> None:
        raise NotImplementedError

    def evaluate(self, fact: Fact, frame: Frame) -> Value:
        raise NotImplementedError

    def block(self, facts: Fact, frame: Frame) -> int:
        raise NotImplementedError

    def load(self, path: str) -> Module | None:
        raise NotImplementedError

    def find(self, name: str, importer: str) -> Value:
        raise NotImplementedError

    # values that several layers make

    def instance(self, of: Class) -> Value:
        """Any object of a class: what is known of all of them together."""
        if of.generic is None:
            of.generic = Instance(of, single=False)
        return frozenset((of.generic,))

    def hinted(self, names: tuple[str, ...], module: Module, scopes: tuple[Cells, ...] = ()) -> Value:
        """What an annotation promises, as far as it names classes."""
        found = EMPTY
        for name in names:
            first, *rest = name.split(".")
            value = next((cells[first] for cells in (*scopes, module.cells) if first in cells), EMPTY)
            for part in rest:
                inner = [a.cells.get(part, EMPTY) for a in value if isinstance(a, Module | Class)]
                outer = [frozenset((External(f"{a.name}.{part}"),)) for a in value if isinstance(a, External)]
                value = frozenset().union(*inner, *outer)
            for atom in in_order(value):
                if isinstance(atom, Class):
                    found |= self.instance(atom)
                elif isinstance(atom, External) and not atom.made:
                    found |= {External(atom.name, made=True)}
        return found


def unknown(why: str) -> Value:
    return frozenset((Unknown(why),)) if why else UNKNOWN
