"""What a condition step asks, answered: comparisons, and `and`, `or`, `not` over them.

Rule 1: both sides are filled in, and a text that is one reference keeps the type of what it brings.
Rule 2: a number and text that spells one are two numbers, as steps print text. Two texts are texts.
Rule 3: a rule answers or raises; it never takes what it cannot compare for false. Only `exists` and `not_exists` may
        name what is not there.

The operators, and the sentences they fail with, are those of the workflow engine whose files are read here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from stepwave.core.language.evaluate import evaluate
from stepwave.core.language.expressions import compile_expression
from stepwave.core.language.interpolate import asks_status, text_references, value_in
from stepwave.core.language.regexes import search
from stepwave.core.language.scope import ExpressionError, Scope, Unresolved, has_reference
from stepwave.core.language.tree import uses_status
from stepwave.core.language.values import BadArgument, in_order, same, text_of, truth
from stepwave.core.model import Rule, Value

ORDERS = {"greater_than": ">", "less_than": "<", "greater_than_or_equal": ">=", "less_than_or_equal": "<="}
PRESENCE = ("exists", "not_exists")
MATCHES = ("matches", "not_matches")
COMBINATIONS = ("and", "or", "not")
OPERATORS = (
    "equals",
    "not_equals",
    "contains",
    "not_contains",
    *PRESENCE,
    *ORDERS,
    *MATCHES,
    *COMBINATIONS,
)
"""Everything that `Rule.operator` may be, but `expression`."""


def holds(rule: Rule, scope: Scope, *, dollar: bool = False, lenient: bool = False) -> bool:
    """The answer. `and` and `or` ask no further than they must; `dollar`: `${NAME}` is a reference, too.

    Raises Unresolved and ExpressionError, the latter also for what cannot be compared. With `lenient` a name without a
    value is empty text, but for `exists` and `not_exists`.
    """
    match rule.operator:
        case "and":
            return all(holds(part, scope, dollar=dollar, lenient=lenient) for part in rule.rules)
        case "or":
            return any(holds(part, scope, dollar=dollar, lenient=lenient) for part in rule.rules)
        case "not":
            return not holds(rule.rules[0], scope, dollar=dollar, lenient=lenient)
        case "expression":
            return truth(evaluate(compile_expression(str(rule.left)), scope, lenient=lenient))
        case "exists" | "not_exists":
            return _is_there(rule.left, scope, dollar) == (rule.operator == "exists")
    left, right = (value_in(side, scope, dollar=dollar, lenient=lenient) for side in (rule.left, rule.right))
    try:
        return _compare(rule.operator, left, right)
    except BadArgument as problem:
        raise ExpressionError(str(problem)) from None


def references(rule: Rule, dollar: bool = False, declared: Iterable[str] = ()) -> Iterator[tuple[str, ...]]:
    """Every path that the rule reads; see `interpolate.text_references`."""
    known = frozenset(declared)
    for part in parts(rule):
        if part.operator == "expression":
            yield from compile_expression(str(part.left)).references
        else:
            for text in _texts(part):
                if has_reference(text, dollar):
                    yield from text_references(text, dollar, known)


def asks_for_status(rule: Rule, dollar: bool = False) -> bool:
    """Whether `success()`, `failure()` or `always()` is asked anywhere in the rule."""
    return any(
        uses_status(compile_expression(str(part.left)))
        if part.operator == "expression"
        else any(asks_status(text, dollar) for text in _texts(part))
        for part in parts(rule)
    )


def parts(rule: Rule) -> Iterator[Rule]:
    """The rule and all those inside it."""
    waiting = [rule]
    while waiting:
        part = waiting.pop()
        yield part
        waiting += part.rules


def _texts(rule: Rule) -> Iterator[str]:
    waiting: list[Value] = [rule.left, rule.right]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, list | dict):
            waiting += value if isinstance(value, list) else value.values()


# --- one comparison --------------------------------------------------------------------------------------------------


def _is_there(side: Value, scope: Scope, dollar: bool) -> bool:
    try:
        value = value_in(side, scope, dollar=dollar)
    except Unresolved:
        return False
    if dollar and isinstance(side, str) and value == side and has_reference(side, dollar):
        return False  # `${NAME}` of no variable: elsewhere it would be left to the shell
    return value is not None


def _compare(operator: str, left: Value, right: Value) -> bool:
    if operator in ORDERS:
        return _ordered(operator, left, right)
    answer = _answers[operator.removeprefix("not_")](left, right)
    return answer != operator.startswith("not_")


def _ordered(operator: str, left: Value, right: Value) -> bool:
    try:
        return in_order(ORDERS[operator], left, right)
    except BadArgument:
        raise BadArgument(f"Cannot compare {_type_of(left)} with {_type_of(right)} using {operator}") from None


def _contains(whole: Value, part: Value) -> bool:
    """A piece of a text, an item of a list, a key of an object; in anything else there is nothing to find."""
    if isinstance(whole, list):
        return any(same(item, part) for item in whole)
    if whole is None or part is None or isinstance(part, list | dict):
        return False
    return text_of(part) in (whole if isinstance(whole, dict) else text_of(whole))


def _matches(text: Value, pattern: Value) -> bool:
    if any(side is None or isinstance(side, list | dict) for side in (text, pattern)):
        raise BadArgument(f"Cannot use regex matching on {_type_of(text)} with {_type_of(pattern)}")
    return search(text_of(pattern), text_of(text))


_answers: Mapping[str, Callable[[Value, Value], bool]] = {"equals": same, "contains": _contains, "matches": _matches}


def _type_of(value: Value) -> str:
    """The words of JSON."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "list" if isinstance(value, list) else "object"
