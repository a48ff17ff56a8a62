"""Rules against a table, and against an evaluator that was written from their description alone."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwave.core.language.rules import OPERATORS, ORDERS, asks_for_status, holds, parts, references
from stepwave.core.language.scope import ExpressionError, Unresolved, Values
from stepwave.core.language.values import MAX_TEXT
from stepwave.core.model import Rule, Value

scope = Values(
    variables={
        "branch": "main",
        "limit": 80,
        "names": ["ada", 2],
        "ports": {"http": 80},
        "nothing": None,
        "braces": "{{branch}}",
        "pattern": "^ma",
    },
    env={"CI": "true"},
    steps={
        "tests": {"result": "success", "exitCode": 0, "stdout": "91.5", "output": 91.5},
        "scan": {"output": {"vulnerabilities": ["low"]}},
        "skipped": {"result": "skipped"},
    },
    locals={"matrix": {"os": "linux"}},
)


@pytest.mark.parametrize(
    ("operator", "left", "right", "expected"),
    [
        ("equals", "{{variable.branch}}", "main", True),
        ("equals", "{{steps.tests.exitCode}}", 0, True),
        ("equals", "{{steps.tests.exitCode}}", "0", True),
        ("equals", "80", "{{limit}}", True),
        ("equals", "80", "80.0", False),
        ("equals", "{{env.CI}}", True, True),
        ("equals", "{{nothing}}", None, True),
        ("equals", "{{names}}", ["ada", "2"], True),
        ("equals", {"a": "{{limit}}"}, {"a": 80}, True),
        ("equals", "on {{branch}}", "on main", True),
        ("equals", "{{matrix.os}}", "linux", True),
        ("equals", "{{braces}}", r"\{{branch}}", True),
        ("equals", "{{names}}", ["ada"], False),
        ("not_equals", "{{branch}}", "dev", True),
        ("not_equals", "{{branch}}", "main", False),
        ("contains", "{{branch}}", "ai", True),
        ("contains", "{{names}}", "2", True),
        ("contains", "{{ports}}", "http", True),
        ("contains", "{{ports}}", 80, False),
        ("contains", "{{steps.tests.exitCode}}", "0", True),
        ("contains", "{{nothing}}", "x", False),
        ("contains", "{{branch}}", None, False),
        ("contains", "{{branch}}", ["main"], False),
        ("not_contains", "{{steps.scan.vulnerabilities}}", "critical", True),
        ("not_contains", "{{steps.scan.vulnerabilities}}", "low", False),
        ("exists", "{{branch}}", None, True),
        ("exists", "{{nope}}", None, False),
        ("exists", "{{steps.skipped.output}}", None, False),
        ("exists", "{{steps.scan.vulnerabilities}}", None, True),
        ("exists", "{{nothing}}", None, False),
        ("exists", "", None, True),
        ("exists", ["{{branch}}", "{{nope}}"], None, False),
        ("not_exists", "{{env.NOPE}}", None, True),
        ("not_exists", "{{env.CI}}", None, False),
        ("greater_than", "{{steps.tests.stdout}}", 80, True),
        ("greater_than", "{{limit}}", "{{steps.tests.output}}", False),
        ("greater_than", "b", "a", True),
        ("greater_than", "9", "10", True),
        ("greater_than", 9, "10", False),
        ("less_than", "{{limit}}", "80.5", True),
        ("less_than", 80, 80, False),
        ("greater_than_or_equal", "{{steps.tests.stdout}}", "{{limit}}", True),
        ("greater_than_or_equal", 80, "80", True),
        ("less_than_or_equal", "a", "a", True),
        ("less_than_or_equal", 81, "{{limit}}", False),
        ("matches", "{{branch}}", "^(main|release/.*)$", True),
        ("matches", "{{branch}}", "{{pattern}}", True),
        ("matches", "{{steps.tests.output}}", r"^\d+\.\d$", True),
        ("matches", "{{branch}}", "^$", False),
        ("less_than_or_equal", 80, "{{limit}}", True),
        ("greater_than_or_equal", "a", "b", False),
        ("not_matches", "{{branch}}", "^dev", True),
        ("not_matches", "{{branch}}", "a", False),
        ("expression", "steps.tests.stdout > 80 && branch == 'main'", None, True),
        ("expression", "false", None, False),
        ("expression", "{{steps.tests.exitCode}}", None, False),
    ],
)
def test_comparisons(operator: str, left: Value, right: Value, expected: bool) -> None:
    assert holds(Rule(operator, left, right), scope) is expected


def test_every_operator_has_both_answers_above() -> None:
    seen = {(row[0], row[3]) for mark in test_comparisons.pytestmark for row in mark.args[1]}  # type: ignore[attr-defined]
    wanted = {*OPERATORS, "expression"} - {"and", "or", "not"}
    assert seen == {(operator, answer) for operator in wanted for answer in (True, False)}


@pytest.mark.parametrize(
    ("operator", "left", "right", "message"),
    [
        ("greater_than", "{{branch}}", 5, "Cannot compare string with number using greater_than"),
        ("less_than", 5, "{{names}}", "Cannot compare number with list using less_than"),
        ("greater_than_or_equal", True, 1, "Cannot compare boolean with number using greater_than_or_equal"),
        ("less_than_or_equal", "{{nothing}}", "{{ports}}", "Cannot compare null with object using less_than_or_equal"),
        ("matches", "{{branch}}", "(", "Invalid regex pattern: ( (missing ) at position 1)"),
        ("not_matches", "{{names}}", "a", "Cannot use regex matching on list with string"),
        ("matches", "{{branch}}", "{{nothing}}", "Cannot use regex matching on string with null"),
        (
            "matches",
            "{{repeat('a', 60)}}b",
            "(a|aa)+$",
            "the regex pattern `(a|aa)+$` takes longer than 1 s on this text",
        ),
        ("equals", "{{divide(1, 0)}}", 1, "`divide`: cannot divide by zero"),
        ("exists", "{{divide(1, 0)}}", None, "`divide`: cannot divide by zero"),
    ],
)
def test_what_cannot_be_answered(operator: str, left: Value, right: Value, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        holds(Rule(operator, left, right), scope)
    assert caught.value.message == message


def test_a_missing_value_is_an_error_unless_somebody_asks_for_it() -> None:
    rule = Rule("equals", "{{nope}}", "")
    with pytest.raises(Unresolved, match="`nope` has no value"):
        holds(rule, scope)
    assert holds(rule, scope, lenient=True)
    assert not holds(Rule("exists", "{{nope}}"), scope, lenient=True)
    with pytest.raises(Unresolved):
        holds(Rule("expression", "nope == ''"), scope)
    assert holds(Rule("expression", "nope == ''"), scope, lenient=True)


def test_dollar_is_a_reference_only_where_it_is_one() -> None:
    assert holds(Rule("equals", "${branch}", "main"), scope, dollar=True)
    assert not holds(Rule("equals", "${branch}", "main"), scope)
    assert holds(Rule("equals", "${env.NOPE:-x}", "x"), scope, dollar=True)
    assert holds(Rule("exists", "${branch}"), scope, dollar=True)
    assert holds(Rule("not_exists", "${nope}"), scope, dollar=True)
    assert holds(Rule("exists", "${nope}"), scope)


BROKEN = Rule("greater_than", "a", 1)
TRUE, FALSE = Rule("expression", "true"), Rule("expression", "false")


def test_combinations_ask_no_further_than_they_must() -> None:
    assert holds(Rule("and", rules=(TRUE, TRUE)), scope)
    assert not holds(Rule("and", rules=(TRUE, FALSE, BROKEN)), scope)
    assert holds(Rule("or", rules=(FALSE, TRUE, BROKEN)), scope)
    assert not holds(Rule("or", rules=(FALSE, FALSE)), scope)
    assert holds(Rule("not", rules=(FALSE,)), scope)
    for rule in (Rule("and", rules=(TRUE, BROKEN)), Rule("or", rules=(FALSE, BROKEN)), Rule("not", rules=(BROKEN,))):
        with pytest.raises(ExpressionError):
            holds(rule, scope)


def test_what_a_reference_brings_is_data() -> None:
    """Neither the braces in a value nor the values in a list are looked into again."""
    hostile = Values(variables={"x": "{{secret}}", "list": ["{{secret}}"], "secret": "s"})
    assert holds(Rule("equals", "{{x}}", r"\{{secret}}"), hostile)
    assert not holds(Rule("contains", "{{list}}", "s"), hostile)
    assert not holds(Rule("matches", "{{x}}", "^s$"), hostile)


def test_what_a_rule_reads() -> None:
    rule = Rule(
        "and",
        rules=(
            Rule("equals", "{{steps.a.output}} {{env.X}}", ["${branch}", {"k": "{{default(steps.b.x, 1)}}"}]),
            Rule("not", rules=(Rule("expression", "steps.c.success || failure()"),)),
            Rule("exists", 5),
        ),
    )
    plain = {("steps", "a", "output"), ("env", "X"), ("steps", "b", "x"), ("steps", "c", "success")}
    assert set(references(rule)) == plain
    assert set(references(rule, dollar=True, declared=["branch"])) == {*plain, ("variables", "branch")}
    assert asks_for_status(rule)
    assert asks_for_status(Rule("equals", [{"a": "{{always()}}"}], True))
    assert not asks_for_status(Rule("and", rules=(Rule("equals", "{{env.X}}", "success()"), TRUE)))
    assert len(list(parts(rule))) == 5


def test_a_rule_cannot_bring_without_end() -> None:
    big = Values(variables={"big": "x" * (MAX_TEXT - 10)})
    with pytest.raises(ExpressionError, match="the references bring too much text"):
        holds(Rule("equals", ["{{big}}"] * 20, 1), big)


# --- another evaluator, from the description in docs/workflow-file.md -------------------------------------------------

Numeric = re.compile(r"\s*[-+]?[0-9]+(\.[0-9]+)?\s*")


class CannotError(Exception):
    """What the description calls an error."""


def as_number(value: Value) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    return float(value) if isinstance(value, str) and Numeric.fullmatch(value) else None


def alike(a: Value, b: Value) -> bool:
    kinds = {type(a), type(b)}
    if kinds == {bool, str}:
        word, truth = (a, b) if isinstance(a, str) else (b, a)
        return word.strip() == shown(truth) if isinstance(word, str) else False
    if bool in kinds:
        return kinds == {bool} and a == b
    if kinds & {int, float} and kinds <= {int, float, str}:
        return as_number(a) is not None and as_number(a) == as_number(b)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(alike(x, y) for x, y in zip(a, b, strict=True))
    return kinds == {type(a)} and a == b


def shown(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def within(part: Value, whole: Value) -> bool:
    if isinstance(whole, list):
        return any(alike(item, part) for item in whole)
    if isinstance(part, list) or None in (part, whole):
        return False
    return shown(part) in shown(whole)


def ordered(sign: Callable[[object, object], bool]) -> Callable[[Value, Value], bool]:
    def compare(a: Value, b: Value) -> bool:
        if isinstance(a, str) and isinstance(b, str):
            return sign(a, b)
        left, right = as_number(a), as_number(b)
        if left is None or right is None:
            raise CannotError
        return sign(left, right)

    return compare


def matching(a: Value, b: Value) -> bool:
    if isinstance(a, list) or isinstance(b, list) or None in (a, b):
        raise CannotError
    return re.search(shown(b), shown(a)) is not None


peer: dict[str, Callable[[Value, Value], bool]] = {
    "equals": alike,
    "contains": lambda a, b: within(b, a),
    "exists": lambda a, b: a is not None,
    "matches": matching,
    "greater_than": ordered(lambda a, b: a > b),  # type: ignore[operator]
    "less_than": ordered(lambda a, b: a < b),  # type: ignore[operator]
    "greater_than_or_equal": ordered(lambda a, b: a >= b),  # type: ignore[operator]
    "less_than_or_equal": ordered(lambda a, b: a <= b),  # type: ignore[operator]
}


def answer(rule: Rule) -> bool:
    """By sides that are values already."""
    if rule.operator == "not":
        return not answer(rule.rules[0])
    if rule.operator in ("and", "or"):
        for part in rule.rules:
            if answer(part) == (rule.operator == "or"):
                return rule.operator == "or"
        return rule.operator == "and"
    if rule.operator.startswith("not_"):
        return not peer[rule.operator.removeprefix("not_")](rule.left, rule.right)
    return peer[rule.operator](rule.left, rule.right)


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-20, 20),
    st.sampled_from([0.5, 2.5, "a", "ab", "b", "", "10", "9", "2.5", " 7 ", "-3", "true", "false", "x y"]),
)
sides = scalars | st.lists(scalars, max_size=3)
names = st.sampled_from([operator for operator in OPERATORS if operator not in ("and", "or", "not")])


def compared(said: tuple[str, Any, Any]) -> Rule:
    return Rule(*said)


comparisons = st.tuples(names, sides, sides).map(compared)
rules = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds(
            lambda word, parts: Rule(word, rules=tuple(parts)),
            st.sampled_from(["and", "or"]),
            st.lists(inner, min_size=1, max_size=3),
        ),
        inner.map(lambda one: Rule("not", rules=(one,))),
    ),
    max_leaves=6,
)


def hidden(rule: Rule, variables: dict[str, Value]) -> Rule:
    """The same rule, with its sides behind references."""
    if rule.rules:
        return rule._replace(rules=tuple(hidden(part, variables) for part in rule.rules))
    left, right = (f"v{len(variables) + n}" for n in range(2))
    variables |= {left: rule.left, right: rule.right}
    return Rule(rule.operator, f"{{{{{left}}}}}", f"{{{{ variables.{right} }}}}")


@settings(max_examples=600, deadline=None)
@given(rules)
def test_against_another_evaluator(rule: Rule) -> None:
    try:
        expected: bool | None = answer(rule)
    except CannotError:
        expected = None
    variables: dict[str, Value] = {}
    for same, known in ((rule, Values()), (hidden(rule, variables), Values(variables=variables))):
        try:
            found: bool | None = holds(same, known)
        except ExpressionError:
            found = None
        assert found is expected


def test_the_orders_agree_with_each_other() -> None:
    assert set(ORDERS) == {name for name in OPERATORS if "than" in name}


_texts = st.lists(
    st.sampled_from(["{{", "}}", "x", "{{x}}", "${x}", "'", "nope", "upper(", ")", " ", "{{x", "[", "\\", "success()"]),
    max_size=6,
).map("".join)
_any_sides = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _texts | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=5,
)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([*OPERATORS, "expression"]), _any_sides, _any_sides, st.booleans(), st.booleans())
def test_any_rule_ends_in_an_answer_or_a_plain_error(
    operator: str, left: Value, right: Value, dollar: bool, lenient: bool
) -> None:
    if operator == "expression":
        left = str(left)
    rule = Rule(operator, left, right, (TRUE,) if operator in ("and", "or", "not") else ())
    try:
        assert holds(rule, scope._replace(variables={"x": "v"}), dollar=dollar, lenient=lenient) in (True, False)
    except (ExpressionError, Unresolved) as problem:
        assert problem.message
