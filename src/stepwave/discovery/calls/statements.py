"""Phase B, statements: what a block does to the state, and in which ways it can end."""

from collections.abc import Callable, Sequence
from typing import Any

from stepwave.discovery.calls.core import Place
from stepwave.discovery.calls.heap import BREAK, CONTINUE, FALL, RAISE, RETURN, Frame
from stepwave.discovery.calls.protected import Protected
from stepwave.discovery.calls.values import (
    EMPTY,
    Args,
    Class,
    Fact,
    Value,
    in_order,
    join,
    one,
)

SHORT = 8
"""A loop over so many known elements is run element by element, while the budget is fresh."""


class Statements(Protected):
    """Carries out blocks."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.verbs: dict[str, Callable[[Fact, Frame], int]] = {
            "e": self.do_expression, "=": self.do_assign, "+=": self.do_augment, "declare": self.do_declare,
            "if": self.do_if, "while": self.do_while, "for": self.do_for, "try": self.do_try, "with": self.do_with,
            "return": self.do_return, "raise": self.do_raise, "def": self.do_def, "class": self.do_class,
            "import": self.do_import, "from": self.do_from, "del": self.do_del, "assert": self.do_assert,
            "match": self.do_match, "break": lambda *_: BREAK, "continue": lambda *_: CONTINUE,
        }  # fmt: skip

    def block(self, facts: Fact, frame: Frame) -> int:
        """Carry out statements until one of them surely leaves; the ways in which the block can end."""
        ways = FALL
        self.steps += len(facts)
        for fact in facts:
            ways = ways & ~FALL | self.verbs[fact[0]](fact, frame)
            if not ways & FALL:
                break
        return ways

    def do_expression(self, fact: Fact, frame: Frame) -> int:
        self.evaluate(fact[1], frame)
        return FALL

    def do_assign(self, fact: Fact, frame: Frame) -> int:
        value = self.evaluate(fact[2], frame)
        if fact[3]:
            value = self.believed(value, fact, frame)
        for target in fact[1]:
            self.assign(target, value, frame)
        return FALL

    def do_declare(self, fact: Fact, frame: Frame) -> int:
        if frame.code.kind == "class":
            self.field(frame, fact[1], fact[2])
        return FALL

    def do_augment(self, fact: Fact, frame: Frame) -> int:
        target, site = fact[1], fact[4:6]
        old, new = self.evaluate(target, frame), self.evaluate(fact[3], frame)
        self.assign(target, self.binary(fact[2], old, new, frame, site, assign=True), frame)
        return FALL

    def do_return(self, fact: Fact, frame: Frame) -> int:
        frame.returns = join(frame.returns, self.evaluate(fact[1], frame))
        return RETURN

    def do_raise(self, fact: Fact, frame: Frame) -> int:
        value = self.evaluate(fact[1], frame)
        self.evaluate(fact[2], frame)
        for atom in in_order(value):
            made_by = self.create(atom, Args(), frame, fact[3:5]) if isinstance(atom, Class) else one(atom)
            frame.raised = join(frame.raised, made_by)
        return RAISE

    def do_assert(self, fact: Fact, frame: Frame) -> int:
        self.truth(self.evaluate(fact[1], frame), frame, fact[3:5])
        self.fork(frame, (lambda: self.do_expression(("e", fact[2]), frame), lambda: FALL))
        self.narrow(fact[1], True, frame)
        return FALL

    def do_del(self, fact: Fact, frame: Frame) -> int:
        for target in fact[1]:
            if target[0] == "n":
                self.assign_name(target[1], EMPTY, frame)
            elif target[0] == ".":
                self.delete_attribute(self.evaluate(target[1], frame), target[2], frame, target[3:5])
            elif target[0] == "[]":
                owner, key = self.evaluate(target[1], frame), self.evaluate(target[2], frame)
                self.delete_item(owner, key, frame, target[3:5])
        return FALL

    # branches

    def do_if(self, fact: Fact, frame: Frame) -> int:
        holds = self.decided(fact[1], frame)
        value = self.evaluate(fact[1], frame)
        self.truth(value, frame, fact[4:6])
        if holds is not None:
            return self.block(fact[2] if holds else fact[3], frame)

        def way(truth: bool, body: Fact) -> Callable[[], int]:
            return lambda: self.block(body, frame) if self.narrow(fact[1], truth, frame) else 0

        return self.fork(frame, (way(True, fact[2]), way(False, fact[3]))) or FALL

    def decided(self, test: Fact, frame: Frame) -> bool | None:
        """A test that is settled by how the program is started, not by what it does."""
        if test[0] == "k":
            return bool(test[1])
        if test[0] == "un" and test[1] == "not":
            inner = self.decided(test[2], frame)
            return None if inner is None else not inner
        if test[0] in ("n", ".") and test[1 if test[0] == "n" else 2] == "TYPE_CHECKING":
            return False
        if test[0] == "cmp" and test[1] == ("n", "__name__") and test[2][0][:1] == ("eq",):
            return bool(frame.module.path == self.main_path and test[2][0][1] == ("k", "__main__"))
        return None

    main_path = ""

    # loops

    def do_while(self, fact: Fact, frame: Frame) -> int:
        endless = fact[1][0] == "k" and bool(fact[1][1])

        def once() -> int:
            self.truth(self.evaluate(fact[1], frame), frame, fact[4:6])
            return self.block(fact[2], frame) if self.narrow(fact[1], True, frame) else FALL

        ways = self.loop(frame, once, endless)
        if endless:
            return (ways & ~(FALL | BREAK | CONTINUE)) | (FALL if ways & BREAK else 0)
        return self.after_loop(ways | FALL, fact[3], frame)

    def do_for(self, fact: Fact, frame: Frame) -> int:
        source, site = self.evaluate(fact[2], frame), fact[6:8]
        if fact[5]:
            source, items = self.asynchronous(source, frame, site), None
        else:
            items = self.items(source)
            if items is not None and len(items) <= SHORT and self.steps < self.budget.runs[0][0]:
                return self.each_of(items, fact, frame)
        element = source if fact[5] else self.iterate(source, frame, site)

        def once() -> int:
            self.assign(fact[1], element, frame)
            return self.block(fact[3], frame)

        if not element and items is None and source and not fact[5]:
            return self.after_loop(FALL, fact[4], frame)
        return self.after_loop(self.loop(frame, once, bool(items)), fact[4], frame)

    def each_of(self, items: Sequence[Value], fact: Fact, frame: Frame) -> int:
        """Element by element; from the first that may leave on, the others may not come."""
        ways, sure = FALL, True
        for item in items:

            def once(value: Value = item) -> int:
                self.assign(fact[1], value, frame)
                return self.block(fact[3], frame)

            ended = once() if sure else self.fork(frame, (once, lambda: FALL))
            self.arrive(frame, CONTINUE)
            ways |= ended
            if not ended & (FALL | CONTINUE):
                ways &= ~FALL
                break
            sure = sure and not ended & (BREAK | RETURN | RAISE)
        self.arrive(frame, BREAK)
        return self.after_loop(ways | (FALL if ways & (BREAK | CONTINUE) else 0), fact[4], frame)

    def loop(self, frame: Frame, once: Callable[[], int], certain: bool) -> int:
        """Twice: what the first pass leaves behind is there for the second."""
        ways = 0
        for turn in range(2):
            ended = once() if certain and turn == 0 else self.fork(frame, (once, lambda: FALL))
            ways |= ended
            self.arrive(frame, CONTINUE)
            if certain and turn == 0 and not ended & (FALL | CONTINUE):
                break
        self.arrive(frame, BREAK)
        return ways

    def after_loop(self, ways: int, otherwise: Fact, frame: Frame) -> int:
        left = ways & (RETURN | RAISE)
        goes_on = ways & (FALL | BREAK | CONTINUE)
        if not goes_on:
            return left
        if otherwise and ways & BREAK:
            return left | self.fork(frame, (lambda: self.block(otherwise, frame), lambda: FALL))
        return left | (self.block(otherwise, frame) if otherwise else FALL)

    def asynchronous(self, source: Value, frame: Frame, site: Place) -> Value:
        result = EMPTY
        for atom in in_order(source):
            made_by = self.special(atom, "__aiter__", Args(), frame, site)
            for inner in in_order(one(atom) if made_by is None else made_by):
                found = self.special(inner, "__anext__", Args(), frame, site)
                value = self.iterated(inner, frame, site) if found is None else self.wait_for(found, frame, site)
                result = join(result, value)
        return result

    def do_import(self, fact: Fact, frame: Frame) -> int:
        raise NotImplementedError

    def do_from(self, fact: Fact, frame: Frame) -> int:
        raise NotImplementedError
