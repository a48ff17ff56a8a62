import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwave.core.evaluate import evaluate
from stepwave.core.expressions import compile_expression
from stepwave.core.functions import MAX_RANGE, table
from stepwave.core.model import Value
from stepwave.core.scope import ExpressionError, Unresolved, Values
from stepwave.core.values import text_of

NOON = 1_700_000_000.25  # 2023-11-14T22:13:20Z

scope = Values(
    variables={
        "x": 1,
        "zero": 0,
        "nothing": None,
        "items": [1, 2, 3],
        "config": {"a": {"b": [10, 20]}, "odd key": 5, "length": 99},
        "big": "x" * 1000,
    },
    env={"CI": "true", "NODE_ENV": "production"},
    now=NOON,
)


def value(text: str) -> Value:
    return evaluate(compile_expression(text), scope)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("upper('aß')", "ASS"),
        ("lower('AB')", "ab"),
        ("trim('  a ')", "a"),
        ("capitalize('ab cd')", "Ab cd"),
        ("length('abc')", 3),
        ("length([1, 2])", 2),
        ("length(config)", 3),
        ("split('a b  c')", ["a", "b", "c"]),
        ("split('abc', '')", ["a", "b", "c"]),
        ("join(items, '-')", "1-2-3"),
        ("join([true, null, 1.5])", "true,,1.5"),
        ("replace('a.b.c', '.', '\\\\1')", "a\\1b\\1c"),
        ("substring('hello', 1, 3)", "el"),
        ("substring('hello', 3)", "lo"),
        ("substring('hello', -5, 2)", "he"),
        ("startsWith('abc', 'ab')", True),
        ("endsWith('abc', 'ab')", False),
        ("includes(items, 2)", True),
        ("contains(config, 'a')", True),
        ("contains('a1', 1)", True),
        ("padStart(5, 3, '0')", "005"),
        ("padEnd('ab', 5, 'xy')", "abxyx"),
        ("padEnd('abc', 2)", "abc"),
        ("repeat('ab', 2)", "abab"),
        ("add(1, '2', 3)", 6),
        ("subtract(1, 3)", -2),
        ("multiply(30000, 2)", 60000),
        ("divide(6, 3)", 2),
        ("divide(1, 4)", 0.25),
        ("modulo(7, 3)", 1),
        ("min(3, 1, 2)", 1),
        ("max([3, '10', 2])", 10),
        ("round(2.5)", 3),
        ("round(-2.5)", -2),
        ("round(1.005, 1)", 1),
        ("round(1.25, 1)", 1.3),
        ("floor(-1.5)", -2),
        ("ceil(1.2)", 2),
        ("abs(-3)", 3),
        ("first(items)", 1),
        ("last(items)", 3),
        ("first([])", None),
        ("slice(items, 1)", [2, 3]),
        ("slice('hello', -3, -1)", "ll"),
        ("sort([3, 1, 2])", [1, 2, 3]),
        ("sort(['b', 'a'])", ["a", "b"]),
        ("unique([1, 1, '1', true, 1])", [1, "1", True]),
        ("reverse(items)", [3, 2, 1]),
        ("reverse('abc')", "cba"),
        ("range(3)", [0, 1, 2]),
        ("range(5, 1, -2)", [5, 3]),
        ("toString(5.0)", "5"),
        ("toString(null)", ""),
        ("toNumber(' 42 ')", 42),
        ("toNumber('1.50')", 1.5),
        ("toJson('a')", '"a"'),
        ("toJson(config.a)", '{"b":[10,20]}'),
        ("parseJson('{\"a\": [1, null]}').a[0]", 1),
        ("default(nowhere, 'd')", "d"),
        ("default(steps.nowhere.output, default(nowhere, 'e'))", "e"),
        ("default('', 'd')", "d"),
        ("default(zero, 'd')", 0),
        ("default(nothing, null)", None),
        ("coalesce(nowhere, null, '', 'c', nowhere)", "c"),
        ("coalesce(nowhere)", None),
        ("if(x, 'yes', nowhere)", "yes"),
        ("if(zero, nowhere, 'no')", "no"),
        ("if(zero, 1)", None),
        ("equals('80', 80)", True),
        ("not(x)", False),
        ("date()", "2023-11-14"),
        ("date('YYYYMMDD-HHmmss %Y')", "20231114-221320 %Y"),
        ("now()", "2023-11-14T22:13:20Z"),
        ("timestamp()", 1_700_000_000_250),
        ("joinPath('dist', env.NODE_ENV)", "dist/production"),
        ("joinPath('/a/', '../b', './c')", "/b/c"),
        ("joinPath('')", "."),
        ("basename('/a/b.txt/')", "b.txt"),
        ("basename('/a/b.txt', '.txt')", "b"),
        ("dirname('/a/b')", "/a"),
        ("dirname('b')", "."),
        ("extname('a.tar.gz')", ".gz"),
        ("env('CI')", "true"),
        ("env('NOT_SET', 'd')", "d"),
    ],
)
def test_functions(text: str, expected: Value) -> None:
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


def test_every_function_has_a_row_above() -> None:
    rows = " ".join(row[0] for mark in test_functions.pytestmark for row in mark.args[1])  # type: ignore[attr-defined]
    missing = {name for name in table if f"{name}(" not in rows} - {"success", "failure", "always"}
    assert not missing


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("divide(1, 0)", "`divide`: cannot divide by zero"),
        ("upper(items)", "`upper`: the first argument must be text, not a list"),
        ("add(1, 'b')", "`add`: the second argument must be a number, not text"),
        ("repeat('a', 1.5)", "`repeat`: the second argument must be a whole number"),
        ("repeat('a', -1)", "`repeat`: the second argument must not be negative"),
        ("repeat('ab', 1000000)", "`repeat`: the result would be longer than 1 MiB"),
        ("padStart('a', 99999999)", "`padStart`: the result would be longer than 1 MiB"),
        ("replace(big, 'x', repeat('y', 100000))", "`replace`: the result would be longer than 1 MiB"),
        ("split(repeat('a', 1000000), '')", "`split`: the result would be longer than 1 MiB"),
        ("replace('a', '', 'b')", "`replace`: the text to look for is empty"),
        ("range(99999999999)", f"`range`: the list would have more than {MAX_RANGE} items"),
        ("sort([1, 'a'])", "`sort`: a list of numbers or a list of texts can be sorted, not a mixture"),
        ("max([])", "`max`: the list is empty"),
        ("toNumber('abc')", "`toNumber`: this text is not a number"),
        ("parseJson('{')", "`parseJson`: the text is not valid JSON"),
        ("parseJson('NaN')", "`parseJson`: the text is not valid JSON"),
        ("parseJson('[1e999]')", "`parseJson`: the text is not valid JSON"),
        ("parseJson(repeat('[', 200))", "`parseJson`: the JSON is nested deeper than 100 levels"),
    ],
)
def test_what_a_function_refuses(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        value(text)
    assert caught.value.message == message


_arguments = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["10", "-1", "[1]"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(table)), st.lists(_arguments, max_size=4))
def test_any_call_ends_in_a_value_or_a_plain_error(name: str, arguments: list[Value]) -> None:
    names = Values(variables={f"v{n}": argument for n, argument in enumerate(arguments)}, now=NOON)
    try:
        expression = compile_expression(f"{name}({', '.join(names.variables)})")
        text_of(evaluate(expression, names))
    except (ExpressionError, Unresolved) as problem:
        assert problem.message
