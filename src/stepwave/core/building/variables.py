"""Variables that refer to other variables, to the environment or to the workflow: each is worked out once, when the
file is read.

Rule 1  What is given from outside (`--var`, `--vars`, another program) is data, and is never read as a reference. What
        a reference brings is not read again either.
Rule 2  In time and memory bounded: by the depth of references, and by what all of them together may bring.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, cast

from stepwave.core.building.cycles import find_cycle, in_order
from stepwave.core.building.fields import Reading, bad_expression, every, inside_text, quoted, secret_in
from stepwave.core.building.parts import Part
from stepwave.core.language.evaluate import BUDGET
from stepwave.core.language.interpolate import check_text, text_references, value_of
from stepwave.core.language.scope import VARIABLE_ROOTS, ExpressionError, Path, Unresolved, Values, has_reference
from stepwave.core.language.values import weight
from stepwave.core.model import Value
from stepwave.core.reading.document import Mapping as Entries
from stepwave.core.reading.document import Node, Scalar, Sequence, plain_as_written

MAX_DEPTH = 10
"""References that lead to references."""


class _Declared(NamedTuple):
    """A variable as it stands in a file."""

    r: Reading
    node: Node


def settle(
    parts: list[Part], variables: Mapping[str, Value], given: Mapping[str, Value], scope: Values
) -> dict[str, Value]:
    """The variables with their references replaced. `variables` are all, as they stand; those of `given` came from
    outside. `scope` answers for everything that is no variable. What is wrong is reported, and left as it stands.
    """
    declared = {name: one for name, one in _declared(parts).items() if name not in given and _refers(one)}
    settled = {name: value for name, value in variables.items() if name not in declared}
    settling = _Settling(scope._replace(variables=settled), settled, declared)
    needs: dict[str, tuple[str, ...]] = {}
    for name, one in declared.items():
        before = len(one.r.found)
        needs[name] = tuple(_needs(name, one, variables, declared))
        if len(one.r.found) > before:
            settling.failed.add(name)
    _tell_of_cycle(needs, declared)
    parts[0].r.private.update(_private(declared, needs))
    return {**variables, **settling.run(needs)}


def _private(declared: Mapping[str, _Declared], needs: Mapping[str, tuple[str, ...]]) -> set[str]:
    """Those that have something of the caller's environment in them, through other variables too."""
    found: set[str] = set()
    for name in in_order(needs):
        paths = (
            path for node, text in _texts(declared[name]) for path in text_references(text, declared[name].r.dollar)
        )
        if not found.isdisjoint(needs[name]) or any(path[0] == "env" for path in paths):
            found.add(name)
    return found


def _declared(parts: list[Part]) -> dict[str, _Declared]:
    """Where each variable stands; of several places the outermost one counts."""
    found: dict[str, _Declared] = {}
    level = parts
    while level:
        for part in level:
            for given in every(part.sheet.found, "variables"):
                if isinstance(given.node, Entries):
                    for name, node in given.node.entries.items():
                        found.setdefault(name, _Declared(part.r, node))
        level = [inner for part in level for inner in part.inner]
    return found


def _texts(declared: _Declared) -> Iterator[tuple[Scalar, str]]:
    """The texts in it that hold references, and where they stand."""
    waiting = [declared.node]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, Scalar):
            waiting += node.items if isinstance(node, Sequence) else node.entries.values()
        elif isinstance(node.value, str) and has_reference(node.value, declared.r.dollar):
            yield node, node.value


def _refers(declared: _Declared) -> bool:
    return next(_texts(declared), None) is not None


# --- what refers to what ---------------------------------------------------------------------------------------------


def _needs(
    name: str, one: _Declared, variables: Mapping[str, Value], declared: Mapping[str, _Declared]
) -> Iterator[str]:
    """The variables that have to be worked out first. Reports what can never be: bad syntax, references to steps."""
    for node, written in _texts(one):
        problems = check_text(written, one.r.dollar)
        for problem in problems:
            bad_expression(one.r, node, problem)
        for path in () if problems else sorted(text_references(written, one.r.dollar, variables)):
            if one.r.secret_names and (secret := secret_in([path], one.r.secret_names)):
                message = (
                    f"variable {quoted(name)} is needed before anything runs, but refers to secret {quoted(secret)}"
                )
                one.r.error("known-too-late", message, node.span, "refer to the secret where the variable is used")
            elif path[0] == "steps":
                message = (
                    f"variable {quoted(name)} is needed before anything runs, but refers to what a step will bring"
                )
                one.r.error("known-too-late", message, node.span, "refer to the step where the variable is used")
            else:
                yield from (other for other in _variables_of(name, path, declared) if other in declared)


def _variables_of(name: str, path: Path, declared: Mapping[str, _Declared]) -> Iterator[str]:
    if path[0] not in VARIABLE_ROOTS:
        yield str(path[0])
    elif len(path) > 1:
        yield str(path[1])
    else:  # `variables[…]`: it may be any other
        yield from (other for other in declared if other != name)


def _tell_of_cycle(needs: Mapping[str, tuple[str, ...]], declared: Mapping[str, _Declared]) -> None:
    cycle = find_cycle(needs)
    if cycle:
        way = " -> ".join(map(quoted, (*cycle[:12], *(("…",) if len(cycle) > 12 else ()), cycle[0])))
        one = declared[cycle[0]]
        help = "give one of them a value of its own"
        one.r.error("variable-cycle", f"variables refer to each other in a circle: {way}", one.node.span, help)


# --- one after the other ---------------------------------------------------------------------------------------------


class _Settling:
    """`settled` are the variables of the scope, and become what they mean one by one. `left` is what the references may
    still bring; `failed` are those that are not worth another word."""

    def __init__(self, scope: Values, settled: dict[str, Value], declared: Mapping[str, _Declared]) -> None:
        self.scope = scope
        self.settled = settled
        self.declared = declared
        self.left = BUDGET
        self.failed: set[str] = set()

    def run(self, needs: Mapping[str, tuple[str, ...]]) -> dict[str, Value]:
        depths: dict[str, int] = {}
        for name in in_order(needs):
            one = self.declared[name]
            depths[name] = 1 + max((depths[other] for other in needs[name]), default=0)
            if self.left < 0 or name in self.failed or not self.failed.isdisjoint(needs[name]):
                self.failed.add(name)
            elif depths[name] > MAX_DEPTH:
                self.failed.add(name)
                message = f"Maximum interpolation depth ({MAX_DEPTH}) exceeded by variable {quoted(name)}"
                help = "refer to fewer variables that refer to others in their turn"
                one.r.error("variable-depth", message, one.node.span, help)
            else:
                self._settle(name, one)
        return self.settled

    def _settle(self, name: str, one: _Declared) -> None:
        before = len(one.r.found)
        value = self._value(one.r, one.node)
        if len(one.r.found) > before:
            self.failed.add(name)
        else:
            self.settled[name] = value

    def _value(self, r: Reading, node: Node) -> Value:
        if isinstance(node, Sequence):
            return [self._value(r, item) for item in node.items]
        if isinstance(node, Entries):
            return {key: self._value(r, item) for key, item in node.entries.items()}
        if self.left < 0 or not isinstance(node.value, str) or not has_reference(node.value, r.dollar):
            return cast("Value", plain_as_written(node))
        try:
            return self._brought(value_of(node.value, self.scope, dollar=r.dollar))
        except Unresolved as problem:
            r.error("unknown-variable", problem.message, inside_text(r, node, problem.offset), problem.help)
        except ExpressionError as problem:
            bad_expression(r, node, problem)
        return None

    def _brought(self, value: Value) -> Value:
        self.left -= weight(value)
        if self.left < 0:
            raise ExpressionError("the variables bring too much text")
        return value
