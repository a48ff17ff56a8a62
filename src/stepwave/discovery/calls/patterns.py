"""What a test or a pattern tells about a value: the state is narrowed to where it holds."""

from collections.abc import Callable, Sequence
from typing import Any

from stepwave.discovery.calls.builtin_calls import text_of
from stepwave.discovery.calls.expressions import Expressions, only
from stepwave.discovery.calls.heap import FALL, Frame
from stepwave.discovery.calls.values import (
    NONE,
    Args,
    Bound,
    Builtin,
    Class,
    Container,
    External,
    Fact,
    Function,
    Generator,
    Instance,
    Known,
    Made,
    Module,
    Unknown,
    Value,
    known,
)


class Patterns(Expressions):
    """Narrows names by tests, and matches patterns."""

    def narrow(self, test: Fact, holds: bool, frame: Frame) -> bool:  # noqa: PLR0911 - a line for each kind
        """Take into the state that a test holds, or does not; False when it cannot be so."""
        kind = test[0]
        if kind == "un" and test[1] == "not":
            return self.narrow(test[2], not holds, frame)
        if kind == "and" if holds else kind == "or":
            return self.narrow_all(test[1], holds, frame)
        if kind in ("n", ":="):
            return self.keep(test if kind == "n" else test[1], frame, lambda value: only(value, holds))
        if kind == "cmp" and len(test[2]) == 1 and test[2][0][1] == ("k", None):
            name, is_none = test[2][0][0], holds
            if name in ("is not", "ne"):
                is_none = not holds
            if name in ("is", "is not", "eq", "ne"):
                return self.keep(test[1], frame, lambda value: with_none(value, is_none))
        if kind == "()" and len(test[2]) == 2 and test[1] == ("n", "isinstance"):
            wanted = self.evaluate(test[2][1], frame)
            return self.keep(test[2][0], frame, lambda value: of_type(value, wanted, holds))
        if kind == "()" and len(test[2]) == 1 and test[1] == ("n", "callable") and holds:
            return self.keep(test[2][0], frame, lambda v: frozenset(a for a in v if not isinstance(a, Known | Made)))
        return True

    def keep(self, fact: Fact, frame: Frame, chosen: Callable[[Value], Value]) -> bool:
        if fact[0] != "n":
            return True
        value = self.name(fact, frame)
        left = chosen(value)
        if left != value and fact[1] in frame.cells and fact[1] not in frame.declared:
            self.put(frame.cells, fact[1], left)
        return bool(left) or not value

    def do_match(self, fact: Fact, frame: Frame) -> int:
        subject = self.evaluate(fact[1], frame)
        ways: list[Callable[[], int]] = []
        certain = False
        for pattern, guard, body in fact[2]:
            ways.append(self.case(pattern, guard, body, subject, frame))
            if pattern[0] == "as" and pattern[1] is None and guard is None:
                certain = True
        if not certain:
            ways.append(lambda: FALL)
        return self.fork(frame, ways) or FALL

    def case(self, pattern: Fact, guard: Fact | None, body: Fact, subject: Value, frame: Frame) -> Callable[[], int]:
        def way() -> int:
            if not self.matched(pattern, subject, frame):
                return 0
            if guard is not None:
                self.truth(self.evaluate(guard, frame), frame, (0, 0))
            return self.block(body, frame)

        return way

    def matched(self, pattern: Fact, subject: Value, frame: Frame) -> bool:
        """Bind the names of a pattern; False when it cannot match."""
        match pattern[0]:
            case "value":
                wanted = self.evaluate(pattern[1], frame)
                self.compare("eq", subject, wanted, frame, pattern[2:4])
                return not (all(isinstance(a, Known) for a in subject | wanted) and not subject & wanted)
            case "as":
                inner = pattern[1] is None or self.matched(pattern[1], subject, frame)
                if pattern[2]:
                    self.assign_name(pattern[2], self.of_pattern(pattern[1], subject, frame), frame)
                return inner
            case "or":
                return self.matched_any(pattern[1], subject, frame)
            case "seq":
                return self.matched_sequence(pattern, subject, frame)
            case "map":
                self.matched_mapping(pattern, subject, frame)
            case "class":
                return self.matched_class(pattern, subject, frame)
        return True

    def matched_any(self, patterns: Sequence[Fact], subject: Value, frame: Frame) -> bool:
        can = False
        for pattern in patterns:  # each of them binds its names
            can = self.matched(pattern, subject, frame) or can
        return can

    def matched_mapping(self, pattern: Fact, subject: Value, frame: Frame) -> None:
        for key, part in pattern[1]:
            self.matched(part, self.subscript(subject, self.evaluate(key, frame), frame, pattern[3:5]), frame)
        if pattern[2]:
            self.assign_name(pattern[2], subject, frame)

    def of_pattern(self, pattern: Fact | None, subject: Value, frame: Frame) -> Value:
        if pattern is not None and pattern[0] == "class":
            return of_type(subject, self.evaluate(pattern[1], frame), True)
        return subject

    def matched_sequence(self, pattern: Fact, subject: Value, frame: Frame) -> bool:
        stars = [i for i, part in enumerate(pattern[1]) if part[0] == "rest"]
        items = self.items(subject)
        if items is not None and (len(items) < len(pattern[1]) - 1 if stars else len(items) != len(pattern[1])):
            return False
        parts = self.unpack(subject, len(pattern[1]), stars[0] if stars else None, frame, pattern[2:4])
        can = True
        for part, value in zip(pattern[1], parts, strict=True):
            if part[0] != "rest":
                can = self.matched(part, value, frame) and can
            elif part[1]:
                self.assign_name(part[1], value, frame)
        return can

    def matched_class(self, pattern: Fact, subject: Value, frame: Frame) -> bool:
        of = self.evaluate(pattern[1], frame)
        self.do_isinstance(Args((subject, of)), frame, pattern[4:6])
        chosen = of_type(subject, of, True)
        names: list[Value] = []
        if pattern[2] and any(isinstance(a, Class) for a in of):
            listed = self.attribute(of, "__match_args__", frame, pattern[4:6])
            names = self.items(listed) or [
                known(n) for a in of if isinstance(a, Class) for n in self.fields_of(a) or ()
            ]
        can = bool(chosen)
        for index, part in enumerate(pattern[2]):
            name = text_of(names[index]) if index < len(names) else None
            inner = self.attribute(chosen, name, frame, pattern[4:6]) if name else chosen
            can = self.matched(part, inner, frame) and can
        for name, part in pattern[3]:
            can = self.matched(part, self.attribute(chosen, name, frame, pattern[4:6]), frame) and can
        return can


def with_none(value: Value, is_none: bool) -> Value:
    """What of a value is None, or what is not; what is not known may be either."""
    if is_none:
        return frozenset(
            a for a in value if a in NONE or isinstance(a, Unknown) or (isinstance(a, External) and a.made)
        )
    return value - NONE


def of_type(value: Value, wanted: Value, holds: bool) -> Value:
    """What of a value is, or is not, an instance of the wanted classes. What cannot be told stays."""
    classes: list[Any] = []
    for atom in wanted:
        classes += [a for v in atom.elements() for a in v] if isinstance(atom, Container) else [atom]
    if any(isinstance(of, Unknown | External) for of in classes):
        return value
    return frozenset(atom for atom in value if is_of(atom, classes) in (holds, None))


def is_of(atom: Any, classes: Sequence[Any]) -> bool | None:
    match atom:
        case Instance():
            if any(of in atom.of.order for of in classes):
                return True
            return None if not atom.single or any(isinstance(b, Unknown | External) for b in atom.of.order) else False
        case Known(_, kind) | Made(kind) | Container(kind=kind):
            return any(isinstance(of, Builtin) and of.name in (kind, "object") for of in classes) or (
                None if kind == "bool" else False
            )
        case Function() | Bound() | Module() | Generator():
            return False if all(isinstance(of, Class) for of in classes) else None
        case Class():
            return any(isinstance(of, Builtin) and of.name in ("type", "object") for of in classes) or None
    return None
