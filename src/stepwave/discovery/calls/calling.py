"""Calls: which function an atom runs, with which arguments, and when a remembered answer stands for a run.

Rule 1. A function is run again for every call, in the state of the heap at that call, as long as the budget allows.
Rule 2. An answer is reused where the arguments and the heap are the same as then; and, when a function has had its
        runs, wherever nothing new to call is among the arguments. Else the function is told as degraded.
Rule 3. Recursion takes what is known of the function so far.
"""

from collections.abc import Callable
from typing import Any

from stepwave.discovery.calls.attributes import c3
from stepwave.discovery.calls.core import Place, unknown
from stepwave.discovery.calls.heap import RETURN, Frame
from stepwave.discovery.calls.library import Library
from stepwave.discovery.calls.operators import ITEMS, key_of
from stepwave.discovery.calls.values import (
    ANY,
    EMPTY,
    NONE,
    REST,
    SIZE,
    UNKNOWN,
    Args,
    Bound,
    Builtin,
    Cells,
    Class,
    Code,
    Container,
    External,
    Function,
    Generator,
    Instance,
    Known,
    Made,
    Native,
    Partial,
    Super,
    Task,
    Unknown,
    Value,
    Wrapped,
    in_order,
    join,
    join_all,
    one,
)

MANY_INSTANCES = 400
"""A class that has been instantiated so often gets no more objects of their own, but one that stands for all."""


class Calling(Library):
    """Calls atoms."""

    def call(
        self, value: Value, args: Args, frame: Frame, site: Place, kind: str = "explicit", name: str = ""
    ) -> Value:
        if not value:
            return EMPTY
        result = EMPTY
        for atom in in_order(value):
            result = join(result, self.call_atom(atom, args, frame, site, kind, name))
        return result

    def call_atom(self, atom: Any, args: Args, frame: Frame, site: Place, kind: str, name: str) -> Value:  # noqa: PLR0911 - a line for each kind
        match atom:
            case Unknown(why):
                self.callbacks(args, frame, site)
                self.miss(frame, name, site, why)
                return UNKNOWN
            case Function():
                return self.call_function(atom, args, frame, site, kind)
            case Bound(function, receiver):
                rest = args._replace(positional=(one(receiver), *args.positional))
                return self.call_atom(function, rest, frame, site, kind, name)
            case Class():
                return self.create(atom, args, frame, site)
            case External():
                return self.call_external(atom, args, frame, site, kind)
            case Builtin(word):
                return self.call_builtin(word, args, frame, site, kind)
            case Native():
                return self.call_native(atom, args, frame, site)
        return self.call_other(atom, args, frame, site, kind, name)

    def call_other(self, atom: Any, args: Args, frame: Frame, site: Place, kind: str, name: str) -> Value:  # noqa: PLR0911 - a line for each kind
        match atom:
            case Instance():
                found = self.special(atom, "__call__", args, frame, site)
                if found is not None:
                    return found
                external = self.inherited(atom.of, "__call__", atom)
                return self.call(external, args, frame, site, kind) if external else EMPTY
            case Partial():
                given = Args(
                    atom.args.positional + args.positional,
                    atom.args.named + args.named,
                    join(atom.args.more or EMPTY, args.more or EMPTY) or None,
                    join(atom.args.more_named or EMPTY, args.more_named or EMPTY) or None,
                )
                return self.call(atom.function, given, frame, site, kind)
            case Wrapped(kind="context"):  # the generator, to be entered by `with`
                return one(Task("context", self.call(atom.get, args, frame, site, kind)))
            case Wrapped():
                return self.call(atom.get, args, frame, site, kind)
            case Task():
                return self.call_task(atom, args, frame, site)
        return EMPTY

    def call_function(self, function: Function, args: Args, frame: Frame, site: Place, kind: str) -> Value:
        self.edge(frame, function.code.name, site, kind)
        cells = self.bound_arguments(function, args)
        flags = function.code.facts[7]
        if "y" in flags or "a" in flags:
            return self.suspended(function, cells, "y" not in flags)
        result = self.run(function, cells)
        if function.code.raised:
            frame.raised = join(frame.raised, function.code.raised)
        return result

    def suspended(self, function: Function, cells: Cells, is_coroutine: bool) -> Value:
        generator = Generator((function, cells), is_coroutine)
        self.waiting.append(generator)
        return one(generator)

    def force(self, generator: Generator) -> None:
        if generator.started:
            return
        generator.started = True
        if callable(generator.body):
            generator.yields = generator.body()
            return
        function, cells = generator.body
        code: Code = function.code
        if code.running < 2 and self.depth < self.budget.depth and self.may_run(function, cells):
            frame = self.frame_of(function, dict(cells))
            frame.sent = generator.sent
            self.enter_run(code, frame)
            code.yielded = join(code.yielded, frame.yields)
            code.seen = join(code.seen, frame.returns)
            generator.yields = join(generator.yields, frame.yields)
            generator.result = join(generator.result, frame.returns)
        else:
            generator.yields = join(generator.yields, code.yielded)
            generator.result = join(generator.result, code.seen)

    # arguments

    def bound_arguments(self, function: Function, args: Args) -> Cells:
        """The parameters of a function and what a call gives them."""
        names, positional_only, star, words, stars, hints = function.code.facts[5]
        cells: Cells = {}
        given, named = args.positional, dict(args.named) if args.named else {}
        count, behind = len(given), len(names) - len(function.defaults)
        for index, name in enumerate(names):
            if index < count:
                cells[name] = given[index]
            else:
                value = named.pop(name, None) if index >= positional_only else None
                other = function.defaults[index - behind] if index >= behind else EMPTY
                cells[name] = self.given_or(value, other, args)
        for name, default in zip(words, function.named_defaults, strict=True):
            cells[name] = self.given_or(named.pop(name, None), default or EMPTY, args, False)
        if star:
            extra = Container("tuple", dict(enumerate(given[len(names) :])), max(count - len(names), 0))
            if args.more:
                extra.slots = {**extra.slots, REST: args.more, SIZE: EMPTY}
            cells[star] = one(extra)
        if stars:
            cells[stars] = one(Container("dict", {**named, **({REST: args.more_named} if args.more_named else {})}))
        self.fill_hints(cells, hints, function)
        return cells

    def given_or(self, value: Value | None, default: Value, args: Args, by_place: bool = True) -> Value:
        if value is not None:
            return value
        spread = join(args.more or EMPTY if by_place else EMPTY, args.more_named or EMPTY)
        return join(spread, default) or unknown("an argument that no call has given")

    def fill_hints(self, cells: Cells, hints: Any, function: Function) -> None:
        """Where an argument is not known, its annotation is believed."""
        for name, hint in hints:
            if any(isinstance(atom, Unknown) for atom in cells[name]):
                promised = self.hinted(hint, function.code.module, function.scopes)
                if promised:
                    cells[name] = promised | {a for a in cells[name] if not isinstance(a, Unknown)}

    # runs

    def run(self, function: Function, cells: Cells) -> Value:
        code = function.code
        if code.running:  # what counts down to the end of a recursion must not look as if it never got there
            cells = {name: counted(value) for name, value in cells.items()}
        key = (function.serial, *cells.values())
        answer = code.answers.get(key)
        if answer is not None and answer[0] == self.epoch:
            return answer[1]
        if code.running >= 2 or self.depth >= self.budget.depth:
            if code.running < 2:
                self.degrade(code, "calls are nested too deeply")
            return code.seen or self.promised(function)
        if not self.may_run(function, cells):
            return code.seen
        epoch = self.epoch
        frame = self.frame_of(function, cells)
        self.enter_run(code, frame)
        result = frame.returns
        if any(isinstance(atom, Unknown) for atom in result) and (promised := self.promised(function)):
            result = join(promised, frozenset(a for a in result if not isinstance(a, Unknown)))
        code.seen = join(code.seen, result)
        if self.epoch == epoch:
            code.answers[key] = (epoch, result)
        return result

    def promised(self, function: Function) -> Value:
        return self.hinted(function.returns, function.code.module, function.scopes) if function.returns else EMPTY

    def may_run(self, function: Function, cells: Cells) -> bool:
        code = function.code
        limit, free = next((runs, free) for steps, runs, free in self.budget.runs if self.steps < steps)
        fresh = self.is_new(code, cells)
        if function.serial not in code.serials:
            code.serials.add(function.serial)
            fresh = True
        if code.runs < limit or code.spent < free:
            return True
        if fresh and code.runs < (4 if limit > 1 else 2) * limit and self.steps < self.budget.steps:
            return True
        if fresh:
            self.degrade(code, "the budget of its runs is used up")
        if fresh or limit > 1:
            self.skip(function, cells)
        return False

    def skip(self, function: Function, cells: Cells) -> None:
        """Remember a call that was not run: it is made up for at the end, when the heap has all that it will have."""
        code, before = function.code, function.code.skipped
        code.skipped = cells if before is None else {n: join(v, cells.get(n, EMPTY)) for n, v in before.items()}
        self.stale.setdefault(code, function)

    def is_new(self, code: Code, cells: Cells) -> bool:
        """Whether a call brings something to call that no call before has brought; it is remembered."""
        if not code.shapes:
            code.shapes = [EMPTY] * len(cells)
        new = False
        for index, value in enumerate(cells.values()):
            shape = shape_of(value)
            if shape and not shape <= code.shapes[index]:
                code.shapes[index] |= shape
                new = True
        return new

    def frame_of(self, function: Function, cells: Cells) -> Frame:
        frame = Frame(function.code, cells, function.scopes)
        names = function.code.facts[5][0]
        frame.owner = function.owner
        frame.receiver = cells[names[0]] if names else EMPTY
        self.declare(frame)
        return frame

    def declare(self, frame: Frame) -> None:
        facts = frame.code.facts
        for name in facts[8]:
            frame.declared[name] = frame.module.cells
        for name in facts[9]:
            home = next((cells for cells in frame.scopes if name in cells), frame.scopes[0] if frame.scopes else None)
            if home is not None:
                frame.declared[name] = home

    def enter_run(self, code: Code, frame: Frame) -> None:
        code.runs += 1
        code.running += 1
        self.depth += 1
        outer, before = self.enter(frame), self.steps
        outcome = self.block(code.facts[6], frame)
        self.exit(frame, outer)
        code.spent += self.steps - before
        self.depth -= 1
        code.running -= 1
        if frame.raised:
            code.raised = join(code.raised, frame.raised)
        if outcome & ~RETURN and code.kind != "lambda":
            frame.returns = join(frame.returns, NONE if outcome & 1 else EMPTY)

    # classes

    def create(self, of: Class, args: Args, frame: Frame, site: Place) -> Value:
        """Calling a class: its metaclass may have its own idea of it."""
        found = self.special(of, "__call__", args, frame, site, "constructor")
        return self.construct(of, args, frame, site) if found is None else found

    def construct(self, of: Class, args: Args, frame: Frame, site: Place) -> Value:
        if "enum" in of.tags:
            return self.iterated(of, frame, site) or self.instance(of)
        if self.lookup_external_meta(of) and len(args.positional) >= 3:
            return self.class_from(of, args, frame, site)
        made_by = self.new_object(of, args, frame, site)
        for atom in in_order(made_by):
            if isinstance(atom, Instance) and of in atom.of.order:
                self.initialize(atom, args, frame, site)
            elif isinstance(atom, Class) and atom.meta is of and (init := self.lookup(of, "__init__")):
                self.call(self.bind(init[1], atom, frame, site), args, frame, site, "constructor")
        return made_by

    def lookup_external_meta(self, of: Class) -> bool:
        return Builtin("type") in of.order and self.lookup(of, "__new__") is None

    def new_object(self, of: Class, args: Args, frame: Frame, site: Place) -> Value:
        if found := self.lookup(of, "__new__"):
            function = join_all(atom.get if isinstance(atom, Wrapped) else one(atom) for atom in in_order(found[1]))
            given = args._replace(positional=(one(of), *args.positional))
            result = self.call(function, given, frame, site, "constructor")
            return frozenset(Instance(of) if isinstance(a, Unknown | External) else a for a in in_order(result))
        of.made += 1
        return one(Instance(of)) if of.made < MANY_INSTANCES else self.instance(of)

    def initialize(self, atom: Instance, args: Args, frame: Frame, site: Place) -> None:
        if found := self.lookup(atom.of, "__init__"):
            self.call(self.bind(found[1], atom, frame, site), args, frame, site, "constructor")
            return
        fields = self.fields_of(atom.of)
        if fields is not None:
            self.fill_fields(atom, fields, args, frame, site)
            if self.lookup(atom.of, "__post_init__"):
                self.special(atom, "__post_init__", Args(), frame, site)
        elif (container := self.held(atom)) is not None and (args.positional or args.named):
            inner = (
                self.do_dict(args, frame, site)
                if container.kind == "dict"
                else self.sequence("list", args, frame, site)
            )
            for made_of in inner:
                self.store(atom.cells, ITEMS, one(Container(container.kind, dict(made_of.slots))))
        elif any(isinstance(base, Builtin) and base.name.endswith(("Error", "Exception")) for base in atom.of.order):
            self.store(atom.cells, "args", self.container("tuple", list(args.positional)))

    def fields_of(self, of: Class) -> list[str] | None:
        """The fields of a dataclass or named tuple, in the order of its `__init__`."""
        owners = [c for c in reversed(of.order) if isinstance(c, Class) and "fields" in c.tags]
        return list(dict.fromkeys(name for owner in owners for name in owner.fields)) if owners else None

    def fill_fields(self, atom: Instance, fields: list[str], args: Args, frame: Frame, site: Place) -> None:
        named = dict(args.named)
        for index, name in enumerate(fields):
            value = args.positional[index] if index < len(args.positional) else named.get(name)
            if value is None:
                default = self.lookup(atom.of, name)
                value = join(args.more or EMPTY, args.more_named or EMPTY)
                value = join(value, self.default_of(default[1] if default else EMPTY, frame, site))
            if any(isinstance(a, Unknown) for a in value) and (hint := self.hint_of(atom.of, name)):
                value = hint
            self.store(atom.cells, name, value or unknown("a field that was not given"))
            self.add(atom.of.ever, name, value)
            if Builtin("tuple") in atom.of.order:
                self.store(self.held_items(atom, "tuple").slots, index, value)

    def hint_of(self, of: Class, name: str) -> Value:
        for owner in of.order:
            if isinstance(owner, Class) and owner.code and name in owner.hints:
                return self.hinted(owner.hints[name], owner.code.module)
        return EMPTY

    def default_of(self, value: Value, frame: Frame, site: Place) -> Value:
        result = EMPTY
        for atom in in_order(value):
            if isinstance(atom, Task) and atom.kind == "factory":
                result = join(result, self.call(atom.value, Args(), frame, site, "callback"))
            else:
                result = join(result, one(atom))
        return result

    def class_from(self, meta: Any, args: Args, frame: Frame, site: Place) -> Value:
        """`type(name, bases, namespace)`, from a metaclass or by hand."""
        name, bases, namespace = args.positional[-3:]
        title = key_of(name)
        existing = next((a.slots.get("*class*") for a in namespace if isinstance(a, Container)), None)
        if existing:
            return existing
        of = Class(f"{frame.module.name}.{title}" if isinstance(title, str) else "class", None)
        of.bases = tuple(atom for base in self.items(bases) or () for atom in in_order(base))
        of.order = c3(of, of.bases)
        of.meta = meta if isinstance(meta, Class) else None
        of.cells.update(self.named_in(namespace))
        return one(of)


def counted(value: Value) -> Value:
    """Numbers by their type only."""
    if not any(isinstance(atom, Known) and atom.kind == "int" for atom in value):
        return value
    return frozenset(Made("int") if isinstance(a, Known) and a.kind == "int" else a for a in value)


def shape_of(value: Value) -> Value:
    """What of a value could be called, apart from which object exactly it is."""
    return frozenset(shape for atom in value if (shape := _shape(atom)) is not None)


def _shape(atom: Any) -> Any:  # noqa: PLR0911 - a line for each kind
    match atom:
        case Unknown() | Known() | Made() | External() | Builtin():
            return None
        case Function():
            return atom.code
        case Bound(function, _):
            return _shape(function)
        case Instance():
            return atom.of
        case Class():
            return atom
        case Container():
            inner = [shape for v in atom.slots.values() for a in v if not isinstance(a, Container | Known | Unknown)
                     and (shape := _shape(a)) is not None]  # fmt: skip
            return (atom.kind, frozenset(inner)) if inner else None
        case Super(after, _):
            return after
    return None


__all__ = ["ANY", "Callable", "Calling"]
