"""`try` and `with`: what may happen in between, and what is called on the way out."""

from collections.abc import Callable
from typing import Any

from stepwave.discovery.calls.core import Place
from stepwave.discovery.calls.definitions import Definitions
from stepwave.discovery.calls.heap import FALL, RAISE, Frame, finals, history, undo
from stepwave.discovery.calls.patterns import of_type
from stepwave.discovery.calls.values import (
    EMPTY,
    UNKNOWN,
    Args,
    Builtin,
    Class,
    Container,
    External,
    Fact,
    Generator,
    Instance,
    Made,
    Task,
    Value,
    in_order,
    join,
    join_all,
    one,
)


class Protected(Definitions):
    """Carries out `try` and `with`."""

    def do_try(self, fact: Fact, frame: Frame) -> int:
        raised, frame.raised = frame.raised, EMPTY
        waiting = frame.left.pop(RAISE, None)
        body = fact[1]
        safe = next((i for i, part in enumerate(body) if not cannot_raise(part)), len(body))
        self.block(body[:safe], frame)
        outer = self.enter(frame)
        ways = self.block(body[safe:], frame)
        if ways & FALL and fact[3]:
            ways = ways & ~FALL | self.block(fact[3], frame)
        log = frame.logs.pop()
        self.trail = outer
        written, held = finals(log), history(log)
        for cells, key, value in frame.left.pop(RAISE, ()) if fact[2] else ():
            held[id(cells), key] = (cells, key, join(held.get((id(cells), key), (0, 0, EMPTY))[2], value))
        undo(log)
        caught = frame.raised

        def straight() -> int:
            for cells, key, value in written.values():
                self.store(cells, key, value)
            return ways & ~RAISE if fact[2] and ways & ~RAISE else ways if not fact[2] else 0

        handlers = [self.handler(part, held, caught, frame) for part in fact[2]]
        ended = self.fork(frame, (straight, *handlers))
        frame.raised = join(raised, EMPTY if fact[2] else caught)
        if waiting:
            frame.left.setdefault(RAISE, []).extend(waiting)
        if fact[4]:
            last = self.block(fact[4], frame)
            ended = last if not last & FALL else ended | last & ~FALL
        return ended

    def handler(self, part: Fact, held: dict[Any, Any], caught: Value, frame: Frame) -> Callable[[], int]:
        kind, name, body = part

        def way() -> int:
            for cells, key, value in held.values():
                self.store(cells, key, value)
            wanted = self.evaluate(kind, frame)
            if name:
                self.assign_name(name, self.exception(wanted, caught, frame), frame)
            outer, frame.caught = frame.caught, caught
            ended = self.block(body, frame)
            frame.caught = outer
            return ended

        return way

    def exception(self, wanted: Value, caught: Value, frame: Frame) -> Value:
        """What a handler is given: what has been raised here, else any object of the classes that it names."""
        classes = wanted
        for atom in in_order(wanted):
            if isinstance(atom, Container):
                classes = join(classes, join_all(atom.elements()))
        here = of_type(frozenset(a for a in caught if isinstance(a, Instance)), classes, True)
        if here:
            return here
        found = EMPTY
        for atom in in_order(classes):
            if isinstance(atom, Class):
                found = join(found, self.instance(atom))
            elif isinstance(atom, Builtin | External):
                found = join(
                    found, one(Made(atom.name)) if isinstance(atom, Builtin) else one(External(atom.name, True))
                )
        return found or UNKNOWN

    def do_with(self, fact: Fact, frame: Frame) -> int:
        closers: list[Callable[[], None]] = []
        for context, target, line, column in fact[1]:
            value = self.evaluate(context, frame)
            entered, leave = self.enter_context(value, frame, (line, column), fact[3])
            closers.append(leave)
            if target is not None:
                self.assign(target, entered, frame)
        ways = self.block(fact[2], frame)
        for leave in reversed(closers):
            leave()
        return FALL if ways == RAISE and closers else ways

    def enter_context(self, value: Value, frame: Frame, site: Place, kind: str) -> tuple[Value, Callable[[], None]]:
        """What `as` binds, and what leaving the block calls."""
        prefix, entered = ("__a" if kind else "__"), EMPTY
        leaving: list[tuple[Any, str]] = []
        for atom in in_order(value):
            found = self.special(atom, f"{prefix}enter__", Args(), frame, site)
            if found is not None:
                entered = join(entered, self.wait_for(found, frame, site) if kind else found)
                leaving.append((atom, f"{prefix}exit__"))
            elif isinstance(atom, Task):
                entered = join(entered, self.enter_task(atom, frame, site))
                if atom.kind == "closing":
                    leaving += [(inner, "close") for inner in in_order(atom.value)]
            elif isinstance(atom, Instance):
                entered = join(entered, one(atom))
                leaving.append((atom, f"{prefix}exit__"))
            else:
                entered = join(entered, one(atom))

        def leave() -> None:
            for atom, name in leaving:
                result = self.special(atom, name, Args((UNKNOWN,) * (3 if name != "close" else 0)), frame, site)
                if kind and result:
                    self.wait_for(result, frame, site)

        return entered, leave

    def enter_task(self, atom: Task, frame: Frame, site: Place) -> Value:
        if atom.kind == "context":
            for inner in in_order(atom.value):
                if isinstance(inner, Generator):
                    self.force(inner)
            return join_all(inner.yields for inner in in_order(atom.value) if isinstance(inner, Generator))
        return atom.value if atom.kind in ("closing", "held") else one(atom)


def cannot_raise(fact: Fact) -> bool:
    """Statements that surely do what they say: handlers never see the state before them."""
    return fact[0] == "=" and fact[2][0] in ("k", "t", "n", "lambda") and all(t[0] == "n" for t in fact[1])
