"""The state of the program that is interpreted: cells that hold values, and how it forks and joins at branches.

Rule 1. Every write to a cell goes through `put`, which keeps the value from before in the log of the innermost branch.
Rule 2. A branch is run, its writes are read from its log and taken back; when all branches have run, what they wrote is
        joined. So locals, globals, attributes and elements are all sensitive to the order of the program, across calls.
Rule 3. A branch that leaves (return, raise, break, continue) takes no part in the join. What it has written is kept in
        `Frame.left` and joined where its way comes out: behind the loop, at the handlers, at the end of the function.
"""

from collections.abc import Callable, Iterable
from typing import Any

from stepwave.discovery.calls.values import EMPTY, Cells, Class, Code, Module, Value, join

Log = list[tuple[Cells, Any, Value | None]]
Written = dict[tuple[int, Any], tuple[Cells, Any, Value]]

FALL, RETURN, RAISE, BREAK, CONTINUE = 1, 2, 4, 8, 16
LONG_LOG = 4000
"""What a way out has written is not kept above this many writes: it would be copied again and again."""


class Frame:
    """One run of a scope."""

    __slots__ = (
        "caught", "cells", "code", "declared", "left", "logs", "module", "owner", "raised", "receiver", "returns",
        "scopes", "sent", "shared", "yields",
    )  # fmt: skip

    def __init__(self, code: Code, cells: Cells, scopes: tuple[Cells, ...]) -> None:
        self.code = code
        self.module: Module = code.module
        self.cells = cells
        self.scopes = scopes
        self.shared = code.kind in ("module", "class") or "n" in code.facts[7]
        self.declared: dict[str, Cells] = {}
        self.owner: Class | None = None
        self.receiver: Value = EMPTY
        self.returns: Value = EMPTY
        self.yields: Value = EMPTY
        self.sent: Value = EMPTY
        self.raised: Value = EMPTY
        self.caught: Value = EMPTY
        self.logs: list[Log] = []
        self.left: dict[int, list[tuple[Cells, Any, Value]]] = {}


class Heap:
    """The cells and their logs. `epoch` changes whenever anything does that outlives a frame."""

    def __init__(self) -> None:
        self.trail: Log | None = None
        self.epoch = 0

    def put(self, cells: Cells, key: Any, value: Value) -> None:
        """A write that only its own frame can see."""
        if self.trail is not None:
            self.trail.append((cells, key, cells.get(key)))
        cells[key] = value

    def store(self, cells: Cells, key: Any, value: Value) -> None:
        """A write that others can see."""
        before = cells.get(key)
        if before == value:
            return
        self.epoch += 1
        if self.trail is not None:
            self.trail.append((cells, key, before))
        cells[key] = value

    def add(self, cells: Cells, key: Any, value: Value) -> None:
        """A write that may or may not replace what is there."""
        before = cells.get(key)
        if before is None:
            self.store(cells, key, value)
        elif not value <= before:
            self.store(cells, key, join(before, value))

    def fork(self, frame: Frame, ways: Iterable[Callable[[], int]]) -> int:
        """Run each way from the state as it is, then join; in which ways the block can end."""
        outcomes, alive = 0, []
        for way in ways:
            outer = self.trail
            log: Log = []
            self.trail = log
            frame.logs.append(log)
            outcome = way()
            if outcome & FALL:
                alive.append(finals(log))
            else:
                self.leave(frame, outcome)
            frame.logs.pop()
            self.trail = outer
            undo(log)
            outcomes |= outcome
        self.merge(alive)
        return outcomes

    def merge(self, alive: list[Written]) -> None:
        if len(alive) == 1:
            for cells, key, value in alive[0].values():
                self.store(cells, key, value)
            return
        for place in dict.fromkeys(place for written in alive for place in written):
            cells, key, _ = next(written[place] for written in alive if place in written)
            before, value = cells.get(key), EMPTY
            for written in alive:
                value = join(value, written[place][2] if place in written else before or EMPTY)
            self.store(cells, key, value)

    def leave(self, frame: Frame, outcome: int) -> None:
        """Keep what has been written on a way that leaves the block."""
        if sum(map(len, frame.logs)) > LONG_LOG:
            return
        written = {}
        for log in frame.logs:
            written.update(finals(log))
        for bit in (RETURN, RAISE, BREAK, CONTINUE):
            if outcome & bit:
                local = None if frame.shared or bit != RETURN else frame.cells
                frame.left.setdefault(bit, []).extend(w for w in written.values() if w[0] is not local)

    def arrive(self, frame: Frame, bit: int) -> None:
        """Here the ways come out that left with this outcome."""
        for cells, key, value in frame.left.pop(bit, ()):
            self.add(cells, key, value)

    def enter(self, frame: Frame) -> Log | None:
        outer = self.trail
        log: Log = []
        self.trail = log
        frame.logs.append(log)
        return outer

    def exit(self, frame: Frame, outer: Log | None) -> None:
        self.arrive(frame, RETURN)
        self.arrive(frame, RAISE)
        log = frame.logs.pop()
        self.trail = outer
        if outer is not None:
            local = None if frame.shared else frame.cells
            outer.extend([entry for entry in log if entry[0] is not local])


def finals(log: Log) -> Written:
    """What the cells of a log hold now."""
    return {(id(cells), key): (cells, key, cells.get(key, EMPTY)) for cells, key, _ in log}


def history(log: Log) -> Written:
    """What the cells of a log have held at any time, before and after."""
    held = finals(log)
    for cells, key, before in log:
        if before:
            held[id(cells), key] = (cells, key, join(held[id(cells), key][2], before))
    return held


def undo(log: Log) -> None:
    for cells, key, before in reversed(log):
        if before is None:
            cells.pop(key, None)
        else:
            cells[key] = before
