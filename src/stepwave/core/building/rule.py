"""What a condition step asks: an expression as text, or a tree of operators.

Rule 1  What can be known now is said now: operators that do not exist, sides that are missing, patterns that are none.
Rule 2  A rule that is returned can be evaluated: `rules.holds` need not ask what it is made of.
"""

import re

from stepwave.core.building.fields import (
    Found,
    Given,
    Reading,
    Template,
    bad_expression,
    gather,
    is_missed,
    one,
    quoted,
    refuse_dollars,
    text,
    wrong_type,
)
from stepwave.core.building.fields_many import template
from stepwave.core.language.rules import COMBINATIONS, MATCHES, OPERATORS, ORDERS, PRESENCE
from stepwave.core.language.scope import ExpressionError, has_reference
from stepwave.core.model import Rule, Value
from stepwave.core.reading import keys
from stepwave.core.reading.document import Mapping, Node, Scalar, Sequence, Span, beginning, plain

MAX_DEPTH = 25


def rule_of(r: Reading, given: Given, step: str) -> Rule | None:
    """The rule that `expression` says: text, true or false, or `{type, left, right, conditions}`; None once what is
    wrong is reported. Its references are checked with those of the step."""
    return _rule(r, given, step, 1)


def _rule(r: Reading, given: Given, step: str, depth: int) -> Rule | None:
    node = given.node
    if isinstance(node, Mapping):
        if depth > MAX_DEPTH:
            r.error("too-deep", f"the conditions are nested more than {MAX_DEPTH} levels deep", given.span)
            return None
        return _tree(r, given, node, step, depth)
    if isinstance(node, Scalar) and isinstance(node.value, bool):
        return Rule("expression", "true" if node.value else "false")
    if isinstance(node, Scalar) and isinstance(node.value, str):
        return Rule("expression", node.value) if _is_expression(r, node, node.value, step) else None
    wrong_type(r, given, "an expression, or a mapping with `type`, `left` and `right`")
    return None


def _is_expression(r: Reading, node: Scalar, written: str, step: str) -> bool:
    from stepwave.core.language.expressions import compile_expression
    from stepwave.core.language.tree import references

    try:
        paths = references(compile_expression(written), guarded=False)
    except ExpressionError as problem:
        bad_expression(r, node, problem)
        return False
    refuse_dollars(r, node, written)
    if paths:
        r.templates.append(Template(step, written, node, paths=tuple(sorted(paths))))
    return True


# --- a tree of operators ---------------------------------------------------------------------------------------------


def _tree(r: Reading, given: Given, mapping: Mapping, step: str, depth: int) -> Rule | None:
    found: Found = {}
    gather(r, mapping, keys.rule, found, f"{given.key}.")
    operator = _operator(r, given, found)
    if operator is None:
        return None
    _tell_of_extras(r, operator, mapping)
    if operator in COMBINATIONS:
        return _combination(r, given, found, operator, step, depth)
    return _comparison(r, given, mapping, found, operator, step)


def _operator(r: Reading, given: Given, found: Found) -> str | None:
    if "operator" not in found:
        if is_missed(found, "operator"):
            message = f"`{given.key}` does not say how to compare"
            r.error("missing-key", message, beginning(given.node), "give it a `type`, such as `equals`")
        return None
    operator = one(r, found, "operator", text)
    if operator is None or operator in OPERATORS:
        return operator
    help = r.did_you_mean(operator, OPERATORS) or f"write one of {', '.join(OPERATORS[:-1])} and {OPERATORS[-1]}"
    r.error("unknown-operator", f"there is no operator {quoted(operator)}", found["operator"].node.span, help)
    return None


def _tell_of_extras(r: Reading, operator: str, mapping: Mapping) -> None:
    """What the operator does not look at."""
    combines = operator in COMBINATIONS
    extra = ("left", "right") if combines else ("conditions", "right") if operator in PRESENCE else ("conditions",)
    for key in extra:
        if key in mapping.entries:
            r.warning("ignored-key", f"`{key}` has no effect with {quoted(operator)}", mapping.keys[key])


def _combination(r: Reading, given: Given, found: Found, operator: str, step: str, depth: int) -> Rule | None:
    if "conditions" not in found:
        if is_missed(found, "conditions"):
            r.error("missing-key", f"{quoted(operator)} needs `conditions`, a list", beginning(given.node))
        return None
    key, node, span, _ = found["conditions"]
    if not isinstance(node, Sequence):
        wrong_type(r, Given(key, node, span), "a list of conditions")
        return None
    if not node.items:
        r.error("too-few-items", f"`{key}` must not be empty", span)
        return None
    if operator == "not" and len(node.items) > 1:
        message = f"{quoted('not')} takes exactly one condition, not {len(node.items)}"
        r.error("too-many-conditions", message, span, "join them with `and` or `or` inside it")
        return None
    rules = [_rule(r, Given(f"{key}[{n}]", item, item.span), step, depth + 1) for n, item in enumerate(node.items)]
    sound = tuple(rule for rule in rules if rule is not None)
    return Rule(operator, rules=sound) if len(sound) == len(rules) else None


def _comparison(r: Reading, given: Given, mapping: Mapping, found: Found, operator: str, step: str) -> Rule | None:
    sides = ("left",) if operator in PRESENCE else ("left", "right")
    missing = [side for side in sides if side not in mapping.entries]
    for side in missing:
        if is_missed(found, side):
            r.error("missing-key", f"{quoted(operator)} needs `{side}`", beginning(given.node))
    if missing:
        return None
    left, right = mapping.entries["left"], mapping.get("right") if "right" in sides else None
    _keep_texts(r, left, step, may_be_missing=operator in PRESENCE)
    _tell_of_plain_names(r, left, mapping.keys["left"])
    if right is not None:
        _keep_texts(r, right, step)
        if not _is_fitting(r, operator, right, f"{given.key}.right"):
            return None
    return Rule(operator, _plain(left), None if right is None else _plain(right))


def _plain(node: Node) -> Value:
    return plain(node)  # type: ignore[return-value]


# --- the sides of a comparison ---------------------------------------------------------------------------------------


def _keep_texts(r: Reading, node: Node, step: str, *, may_be_missing: bool = False) -> None:
    """Keeps the texts of a side for the check of their references."""
    waiting = [node]
    while waiting:
        part = waiting.pop()
        if not isinstance(part, Scalar):
            waiting += part.items if isinstance(part, Sequence) else part.entries.values()
        elif isinstance(part.value, str) and has_reference(part.value, r.dollar):
            if may_be_missing:
                _keep_steps(r, part, part.value, step)
            else:
                template(r, step, part.value, part)


def _keep_steps(r: Reading, node: Scalar, written: str, step: str) -> None:
    """`exists` may ask for a variable that nobody has declared, but hardly for a step that is not there."""
    from stepwave.core.language.interpolate import check_text, text_references

    problems = check_text(written, r.dollar)
    for problem in problems:
        bad_expression(r, node, problem)
    paths = () if problems else text_references(written, r.dollar)
    steps = tuple(sorted(path for path in paths if path[0] == "steps"))
    if steps:
        r.templates.append(Template(step, written, node, paths=steps))


_name = re.compile(r"(?:steps|variables?|inputs|env|workflow)(?:\.[\w-]+)+\Z")


def _tell_of_plain_names(r: Reading, node: Node, span: Span) -> None:
    """`left: steps.test.output` compares those very words."""
    if isinstance(node, Scalar) and isinstance(node.value, str) and _name.match(node.value):
        message = f"{quoted(node.value)} is a text here, and not what it names"
        r.warning("plain-name", message, node.span, f"write {quoted('{{' + node.value + '}}')}")


def _is_fitting(r: Reading, operator: str, node: Node, key: str) -> bool:
    """Whether the operator can do something with a right side that is known already."""
    if not isinstance(node, Scalar):
        wanted = "a number or text" if operator in ORDERS else "a regular expression" if operator in MATCHES else ""
        if wanted:
            wrong_type(r, Given(key, node, node.span), wanted)
        return not wanted
    if operator in ORDERS and (node.value is None or isinstance(node.value, bool)):
        wrong_type(r, Given(key, node, node.span), "a number or text")
        return False
    return operator not in MATCHES or _is_pattern(r, node, key)


def _is_pattern(r: Reading, node: Scalar, key: str) -> bool:
    if not isinstance(node.value, str):
        wrong_type(r, Given(key, node, node.span), "a regular expression", "write it in quotes")
        return False
    if has_reference(node.value, r.dollar):
        return True
    from stepwave.core.language.regexes import BadPattern, check_pattern

    try:
        check_pattern(node.value)
    except BadPattern as problem:
        r.error("bad-pattern", str(problem), node.span, problem.help)
        return False
    return True
