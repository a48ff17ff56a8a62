"""Phase B, expressions: from a fact to a value."""

from collections.abc import Callable, Sequence
from typing import Any

from stepwave.discovery.calls.builtin_calls import NAMES
from stepwave.discovery.calls.calling import Calling
from stepwave.discovery.calls.core import unknown
from stepwave.discovery.calls.heap import FALL, Frame
from stepwave.discovery.calls.operators import key_of
from stepwave.discovery.calls.values import (
    BOOL,
    EMPTY,
    FALSE,
    NONE,
    REST,
    SIZE,
    TRUE,
    UNKNOWN,
    Args,
    Builtin,
    Class,
    Code,
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
    in_order,
    join,
    join_all,
    known,
    made,
    one,
)

_builtins = {name: one(Builtin(name)) for name in NAMES}
_known: dict[str, Value] = {"None": NONE, "True": TRUE, "False": FALSE}


class Expressions(Calling):
    """Evaluates facts."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.table: dict[str, Callable[[Fact, Frame], Value]] = {
            "k": lambda fact, _: known(fact[1]), "t": lambda fact, _: made(fact[1]), "n": self.name, ".": self.dotted,
            "()": self.called, "op": self.operator, "un": self.unary, "cmp": self.comparison, "and": self.both,
            "or": self.both, "?": self.chosen, "[]": self.indexed, "slice": self.sliced, "list": self.sequence_of,
            "tuple": self.sequence_of, "set": self.sequence_of, "dict": self.mapping_of, "comp": self.comprehended,
            "lambda": self.lambda_, "text": self.text, "fmt": self.formatted, "await": self.awaited,
            "yield": self.yielded, "yield from": self.delegated, ":=": self.named, "*": self.starred,
            "pair": self.pair_of,
        }  # fmt: skip

    def evaluate(self, fact: Fact, frame: Frame) -> Value:
        return self.table[fact[0]](fact, frame)

    # names

    def name(self, fact: Fact, frame: Frame) -> Value:
        name = fact[1]
        if (found := frame.cells.get(name)) and name not in frame.declared:
            return found
        if name in frame.declared:
            return frame.declared[name].get(name) or self.outer(name, frame)
        for cells in frame.scopes:
            if found := cells.get(name):
                return found
        return self.outer(name, frame)

    def outer(self, name: str, frame: Frame) -> Value:
        if found := frame.module.cells.get(name):
            return found
        if name in _builtins:
            return _builtins[name]
        if name == "__name__":
            return known(frame.module.name)
        if name == "__class__" and frame.owner:
            return one(frame.owner)
        return unknown(f"the name `{name}` has no value that is known")

    def assign_name(self, name: str, value: Value, frame: Frame) -> None:
        if name in frame.declared:
            self.store(frame.declared[name], name, value)
        elif frame.shared:
            self.store(frame.cells, name, value)
        else:
            self.put(frame.cells, name, value)

    def assign(self, target: Fact, value: Value, frame: Frame) -> None:
        kind = target[0]
        if kind == "n":
            self.assign_name(target[1], value, frame)
        elif kind == ".":
            self.set_attribute(self.evaluate(target[1], frame), target[2], value, frame, target[3:5])
        elif kind == "[]":
            owner, key = self.evaluate(target[1], frame), self.evaluate(target[2], frame)
            self.set_subscript(owner, key, value, frame, target[3:5])
        elif kind == "seq":
            stars = [i for i, part in enumerate(target[1]) if part[0] == "*"]
            parts = self.unpack(value, len(target[1]), stars[0] if stars else None, frame, target[2:4])
            for part, item in zip(target[1], parts, strict=True):
                self.assign(part[1] if part[0] == "*" else part, item, frame)

    def named(self, fact: Fact, frame: Frame) -> Value:
        value = self.evaluate(fact[2], frame)
        self.assign(fact[1], value, frame)
        return value

    # attributes, subscripts, calls

    def dotted(self, fact: Fact, frame: Frame) -> Value:
        owner = self.evaluate(fact[1], frame)
        if not owner:
            return EMPTY
        found = self.attribute(owner, fact[2], frame, fact[3:5])
        return found or unknown(f"nothing that is known has `{fact[2]}`")

    def indexed(self, fact: Fact, frame: Frame) -> Value:
        owner = self.evaluate(fact[1], frame)
        key = self.evaluate(fact[2], frame)
        if fact[2][0] == "slice":
            return self.part_of(owner, fact[2], key, frame, fact[3:5])
        return self.subscript(owner, key, frame, fact[3:5]) or unknown("an element that is not known")

    def sliced(self, fact: Fact, frame: Frame) -> Value:
        for part in fact[1:]:
            self.evaluate(part, frame)
        return made("slice")

    def part_of(self, owner: Value, fact: Fact, key: Value, frame: Frame, site: tuple[int, int]) -> Value:
        items = self.items(owner)
        bounds = [key_of(self.evaluate(part, frame)) for part in fact[1:]]
        if items is not None and all(isinstance(b, int) or b == "*none*" for b in bounds):
            chosen = items[slice(*[None if b == "*none*" else b for b in bounds])]
            return self.container(next(iter(owner)).kind, chosen)
        result = EMPTY
        for atom in in_order(owner):
            if isinstance(atom, Container):
                result = join(result, self.rest(atom.kind, join_all(atom.elements())))
            else:
                result = join(result, self.subscript(one(atom), key, frame, site))
        return result

    def called(self, fact: Fact, frame: Frame) -> Value:
        function = self.evaluate(fact[1], frame)
        args = self.arguments(fact[2], fact[3], frame)
        if not function:
            return EMPTY
        return self.call(function, args, frame, fact[4:6], "explicit", written(fact[1]))

    def arguments(self, positional: Sequence[Fact], named: Sequence[Any], frame: Frame) -> Args:
        values: list[Value] = []
        more, more_named = EMPTY, EMPTY
        for fact in positional:
            if fact[0] != "*":
                values.append(self.evaluate(fact, frame))
                continue
            spread = self.evaluate(fact[1], frame)
            items = self.items(spread)
            if items is None or more:
                more = join(more, self.iterate(spread, frame, fact[2:4]) or UNKNOWN)
            else:
                values += items
        words: list[tuple[str, Value]] = []
        for name, fact in named:
            value = self.evaluate(fact, frame)
            if name is not None:
                words.append((name, value))
            else:
                words += self.named_in(value)
                more_named = join(more_named, self.unnamed_in(value))
        return Args(tuple(values), tuple(words), more or None, more_named or None)

    def unnamed_in(self, value: Value) -> Value:
        containers = [self.held(atom) for atom in in_order(value)]
        if any(container is None for container in containers):
            return UNKNOWN
        return join_all(container.slots.get(REST, EMPTY) for container in containers if container)

    def starred(self, fact: Fact, frame: Frame) -> Value:
        return self.evaluate(fact[1], frame)

    # operators

    def operator(self, fact: Fact, frame: Frame) -> Value:
        left, right = self.evaluate(fact[2], frame), self.evaluate(fact[3], frame)
        if fact[1] == "mod" and any(isinstance(a, Known | Made) and a.kind == "str" for a in left):
            self.as_text(right, frame, fact[4:6])
            return made("str")
        return self.binary(fact[1], left, right, frame, fact[4:6])

    def unary(self, fact: Fact, frame: Frame) -> Value:
        value = self.evaluate(fact[2], frame)
        if fact[1] == "not":
            self.truth(value, frame, fact[3:5])
            return BOOL
        found = [self.special(atom, f"__{fact[1]}__", Args(), frame, fact[3:5]) for atom in in_order(value)]
        return join_all(f for f in found if f is not None) or value

    def comparison(self, fact: Fact, frame: Frame) -> Value:
        left, result = self.evaluate(fact[1], frame), EMPTY
        for name, other in fact[2]:
            right = self.evaluate(other, frame)
            result = join(result, self.compare(name, left, right, frame, fact[3:5]))
            left = right
        return result

    def both(self, fact: Fact, frame: Frame) -> Value:
        """`and`, `or`: what comes behind is looked at where it can be reached, in a state where that holds."""
        result, stop = EMPTY, fact[0] == "or"
        for index, part in enumerate(fact[1]):
            value = self.behind(fact[1][:index], part, not stop, frame) if index else self.evaluate(part, frame)
            if index == len(fact[1]) - 1:
                return join(result, value)
            self.truth(value, frame, fact[2:4])
            if always(value) is (not stop):
                continue
            if always(value) is stop:
                return join(result, value)
            result = join(result, only(value, stop))
        return result

    def behind(self, tests: Sequence[Fact], fact: Fact, holds: bool, frame: Frame) -> Value:
        found = EMPTY

        def way() -> int:
            nonlocal found
            for test in tests:
                self.narrow(test, holds, frame)
            found = self.evaluate(fact, frame)
            return FALL

        self.fork(frame, (way, lambda: FALL))
        return found

    def chosen(self, fact: Fact, frame: Frame) -> Value:
        self.truth(self.evaluate(fact[1], frame), frame, fact[4:6])
        found: list[Value] = []

        def way(holds: bool, part: Fact) -> Callable[[], int]:
            def take() -> int:
                if self.narrow(fact[1], holds, frame):
                    found.append(self.evaluate(part, frame))
                return FALL

            return take

        self.fork(frame, (way(True, fact[2]), way(False, fact[3])))
        return join_all(found)

    def narrow_all(self, tests: Sequence[Fact], holds: bool, frame: Frame) -> bool:
        """Every test narrows, also behind one that cannot hold."""
        can = True
        for test in tests:
            can = self.narrow(test, holds, frame) and can
        return can

    def narrow(self, test: Fact, holds: bool, frame: Frame) -> bool:
        raise NotImplementedError

    # displays

    def sequence_of(self, fact: Fact, frame: Frame) -> Value:
        container = Container(fact[0], {}, 0)
        for part in fact[1]:
            value = self.evaluate(part, frame)
            if part[0] == "*":
                items = self.items(value)
                for item in items if items is not None else ():
                    self.push_onto(container, item)
                if items is None:
                    self.scatter(container, self.iterate(value, frame, part[2:4]))
            else:
                self.hashed(value, container, frame, fact[2:4])
                self.push_onto(container, value)
        if fact[0] == "set":
            container.slots = {REST: join_all(container.elements())}
        return one(container)

    def push_onto(self, container: Container, value: Value) -> None:
        """Without a log: nobody has seen this container yet."""
        size = container.size
        if size is None or size >= 64:
            container.slots[REST] = join(container.slots.get(REST, EMPTY), value)
            container.slots[SIZE] = EMPTY
        else:
            container.slots[size] = value
            container.slots[SIZE] = known(size + 1)

    def mapping_of(self, fact: Fact, frame: Frame) -> Value:
        container = Container("dict", {})
        for key, value in fact[1]:
            found = self.evaluate(value, frame)
            if key is None:
                self.dict_update(container, Args((found,)), frame, fact[2:4])
            else:
                name = self.evaluate(key, frame)
                self.hashed(name, container, frame, fact[2:4])
                self.write_item(container, name, found, True)
        return one(container)

    def pair_of(self, fact: Fact, frame: Frame) -> Value:
        return self.container("tuple", [self.evaluate(fact[1], frame), self.evaluate(fact[2], frame)])

    def comprehended(self, fact: Fact, frame: Frame) -> Value:
        kind = fact[1]
        if kind == "iterator":
            first = self.evaluate(fact[2][0][1], frame)
            generator = Generator(lambda: join_all(self.passes_of(fact, frame, first)), False)
            self.waiting.append(generator)
            return one(generator)
        items = self.passes_of(fact, frame, self.evaluate(fact[2][0][1], frame))
        simple = len(fact[2]) == 1 and not fact[2][0][2]
        if kind == "dict":
            container = Container("dict", {})
            for pair in items:
                key, value = self.unpack(pair, 2, None, frame, fact[4:6])
                self.hashed(key, container, frame, fact[4:6])
                self.write_item(container, key, value, False)
            return one(container)
        if kind == "list" and simple and self.exact:
            return self.container(kind, items)
        return self.rest(kind, join_all(items))

    exact = False

    def passes_of(self, fact: Fact, frame: Frame, first: Value) -> list[Value]:
        """The element of a comprehension, once for each element of a short known source, else once for all."""
        (target, _, tests, line, column), *inner = fact[2]
        items = self.items(first)
        self.exact = items is not None and len(items) <= 12
        if not self.exact or items is None:
            items = [self.iterate(first, frame, (line, column))]
        exact, results = self.exact, []
        for item in items if not inner else [join_all(items)]:
            self.assign(target, item, frame)
            for test in tests:
                self.truth(self.evaluate(test, frame), frame, (line, column))
            if not self.narrow_all(tests, True, frame):
                continue
            for part, source, more, at, place in inner:
                self.assign(part, self.iterate(self.evaluate(source, frame), frame, (at, place)), frame)
                for test in more:
                    self.truth(self.evaluate(test, frame), frame, (at, place))
            results.append(self.evaluate(fact[3], frame))
        self.exact = exact and not inner
        return results

    # functions, texts, generators

    def lambda_(self, fact: Fact, frame: Frame) -> Value:
        code = self.lambda_code(fact[1], frame)
        function = Function(code, self.scopes_of(frame))
        function.owner = frame.owner
        self.give_defaults(function, fact[2], fact[3], frame)
        return one(function)

    def lambda_code(self, facts: Fact, frame: Frame) -> Code:
        """Lambdas are numbered in the order of their scope."""
        names = frame.code.lambdas
        name = names.setdefault(id(facts), f"<lambda{len(names) + 1}>")
        return self.code(f"{frame.code.name}.{name}", facts, frame.module)

    def code(self, name: str, facts: Fact, module: Module) -> Code:
        raise NotImplementedError

    def scopes_of(self, frame: Frame) -> tuple[Any, ...]:
        """What a function that is made here sees around it: the bodies of classes are invisible."""
        return frame.scopes if frame.code.kind in ("module", "class") else (frame.cells, *frame.scopes)

    def give_defaults(self, function: Function, defaults: Fact, named: Fact, frame: Frame) -> None:
        function.defaults = tuple([self.evaluate(fact, frame) for fact in defaults])
        function.named_defaults = tuple([None if fact is None else self.evaluate(fact, frame) for fact in named])

    def text(self, fact: Fact, frame: Frame) -> Value:
        parts = [self.evaluate(part, frame) for part in fact[1]]
        words = [key_of(part) for part in parts]
        if words and all(isinstance(word, str) for word in words) and sum(map(len, words)) < 200:
            return known("".join(words))
        return made("str")

    def formatted(self, fact: Fact, frame: Frame) -> Value:
        value = self.evaluate(fact[1], frame)
        self.evaluate(fact[3], frame)
        return self.as_text(value, frame, fact[4:6], {"r": "__repr__", "s": "__str__"}.get(fact[2], "__format__"))

    def awaited(self, fact: Fact, frame: Frame) -> Value:
        return self.wait_for(self.evaluate(fact[1], frame), frame, fact[2:4])

    def yielded(self, fact: Fact, frame: Frame) -> Value:
        frame.yields = join(frame.yields, self.evaluate(fact[1], frame))
        return frame.sent or UNKNOWN

    def delegated(self, fact: Fact, frame: Frame) -> Value:
        source = self.evaluate(fact[1], frame)
        for atom in in_order(source):
            if isinstance(atom, Generator) and not atom.started:
                atom.sent = frame.sent
        frame.yields = join(frame.yields, self.iterate(source, frame, fact[2:4]))
        return join_all(atom.result for atom in in_order(source) if isinstance(atom, Generator)) or NONE


def written(fact: Fact) -> str:
    """A called expression as a person would name it: `self.run`, `handlers[…]`."""
    match fact[0]:
        case "n":
            return str(fact[1]).partition("#")[0]
        case ".":
            return f"{written(fact[1])}.{fact[2]}"
        case "[]":
            return f"{written(fact[1])}[…]"
        case "()":
            return f"{written(fact[1])}(…)"
    return "…"


def always(value: Value) -> bool | None:
    """Whether a value is surely true, surely false, or None."""
    if not value:
        return None
    kinds = {_truth(atom) for atom in value}
    return kinds.pop() if len(kinds) == 1 else None


def _truth(atom: Any) -> bool | None:
    match atom:
        case Known(value, _):
            return bool(value)
        case Function() | Class() | Module() | Builtin() | Generator():
            return True
        case Instance(of=of):
            plain = all(isinstance(c, Class) and not {"__bool__", "__len__"} & c.cells.keys() for c in of.order)
            return True if plain else None
        case External(_, made_by) if not made_by:
            return None
        case Unknown():
            return None
    return None


def only(value: Value, holds: bool) -> Value:
    """What of a value is left when it is known to be true, or false."""
    return frozenset(atom for atom in value if _truth(atom) is not (not holds))


__all__ = ["Expressions", "always", "only", "written"]
