from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwave.core.language.evaluate import evaluate
from stepwave.core.language.expressions import compile_expression
from stepwave.core.language.functions import table
from stepwave.core.language.lists import MAX_RANGE
from stepwave.core.language.scope import ExpressionError, FileRefused, Unresolved, Values
from stepwave.core.language.values import text_of
from stepwave.core.model import Value

NOON = 1_700_000_000.25  # 2023-11-14T22:13:20Z


class Shelf:
    """Files that are values."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.texts = texts

    def read_text(self, path: str) -> str:
        if path not in self.texts:
            raise FileRefused(f"`{path}` does not exist")
        return self.texts[path]

    def exists(self, path: str) -> bool:
        return path in self.texts

    def size(self, path: str) -> int:
        return len(self.read_text(path).encode())


scope = Values(
    variables={
        "x": 1,
        "zero": 0,
        "nothing": None,
        "items": [1, 2, 3],
        "config": {"a": {"b": [10, 20]}, "odd key": 5, "length": 99},
        "big": "x" * 1000,
        "users": [{"name": "ada", "on": True}, {"name": "bob", "on": False}, {"name": "eve", "on": "yes"}, 7],
    },
    env={"CI": "true", "NODE_ENV": "production", "EMPTY": ""},
    now=NOON,
    files=Shelf({"a.txt": "äb\n", "c.json": '{"port": 8080}', "bad.json": "{", "template": "{{x}}"}),
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
        ("env('EMPTY', 'd')", ""),
        ("envDefault('EMPTY', 'd')", "d"),
        ("envDefault('CI', nowhere)", "true"),
        ("envDefault('NOT_SET', 'd')", "d"),
        ("hasEnv('EMPTY')", True),
        ("hasEnv('NOT_SET')", False),
        ("time()", "22:13:20"),
        ("time('HH.mm')", "22.13"),
        ("formatDate('2024-02-29')", "2024-02-29"),
        ("formatDate('2024-02-29T23:30:00+01:00', 'DD.MM.YYYY HH:mm:ss')", "29.02.2024 22:30:00"),
        ("formatDate('2024-02-29T23:30:00.5', 'HH:mm:ss')", "23:30:00"),
        ("formatDate(timestamp())", "2023-11-14"),
        ("formatDate('1700000000250', 'ss')", "20"),
        ("formatDate(0, 'YYYY')", "1970"),
        ("formatDate('0033-04-03')", "0033-04-03"),
        ("addDays('2024-02-28', 2)", "2024-03-01T00:00:00Z"),
        ("addDays(now(), -1)", "2023-11-13T22:13:20Z"),
        ("addHours('2023-12-31T23:00:00Z', 1.5)", "2024-01-01T00:30:00Z"),
        ("addMinutes('2023-12-31T23:59:00Z', '2')", "2024-01-01T00:01:00Z"),
        ("formatDate(addDays(now(), 1), 'YYYYMMDD')", "20231115"),
        ("at(items, 1)", 2),
        ("at(items, -1)", 3),
        ("at(items, 3)", None),
        ("at('abc', 0)", "a"),
        ("map(users, 'name')", ["ada", "bob", "eve", None]),
        ("filter([0, 1, '', 'a', null, false, [], [0]])", [1, "a", [0]]),
        ("map(filter(users, 'on'), 'name')", ["ada", "eve"]),
        ("empty('')", True),
        ("empty(nothing)", True),
        ("empty([])", True),
        ("empty(zero)", False),
        ("empty(' ')", False),
        ("notEmpty(config)", True),
        ("toBoolean('TRUE')", True),
        ("toBoolean('yes')", False),
        ("toBoolean(1)", True),
        ("toBoolean('0')", False),
        ("matches('v1.2.3', '^v[0-9.]+$')", True),
        ("matches('v1.2.3', '^[0-9.]+$')", False),
        ("matches(42, '^4')", True),
        ("fromJson('[1]')", [1]),
        ("fileName('/a/b.txt')", "b.txt"),
        ("filePath('/a/b.txt')", "/a"),
        ("fileExt('/a/b.txt')", ".txt"),
        ("fileExists('a.txt')", True),
        ("fileExists('b.txt')", False),
        ("fileSize('a.txt')", 4),
        ("readFile('a.txt')", "äb\n"),
        ("readFile('a.txt', 'UTF-8')", "äb\n"),
        ("readFile('template')", "{{x}}"),
        ("readJson('c.json').port", 8080),
        ("if(equals(readJson('c.json').port, '8080'), upper('yes'), 'no')", "YES"),
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
        ("at(items, 'b')", "`at`: the second argument must be a number, not text"),
        (
            "formatDate('soon')",
            "`formatDate`: the first argument is no date such as 2026-01-31 or 2026-01-31T12:00:00Z",
        ),
        ("formatDate(true)", "`formatDate`: the first argument must be a date, not a boolean"),
        ("formatDate(1e300)", "`formatDate`: the number is too large"),
        ("addDays(now(), 999999999)", "`addDays`: the number is too large"),
        ("addDays('9999-12-31', 1)", "`addDays`: the number is too large"),
        ("map('ab', 'x')", "`map`: the first argument must be a list, not text"),
        ("readFile('b.txt')", "`readFile`: `b.txt` does not exist"),
        ("readFile('a.txt', 'base64')", "`readFile`: the second argument must be utf8"),
        ("readJson('bad.json')", "`readJson`: the text is not valid JSON"),
        ("fileSize('b.txt')", "`fileSize`: `b.txt` does not exist"),
        ("matches('a', join(['(', 'a']))", "`matches`: Invalid regex pattern: (,a (missing ) at position 3)"),
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


def test_without_files_nothing_is_read() -> None:
    for name in ("readFile", "readJson", "fileExists", "fileSize"):
        with pytest.raises(ExpressionError, match="no file can be read here"):
            evaluate(compile_expression(f"{name}('a.txt')"), scope._replace(files=None))


def test_nothing_is_left_to_chance() -> None:
    with pytest.raises(ExpressionError, match="there is no function `random`") as caught:
        compile_expression("random(1, 6)")
    assert caught.value.help == "expressions leave nothing to chance: let a step print the number"


def test_a_pattern_in_an_expression_is_checked_with_it() -> None:
    with pytest.raises(ExpressionError, match="Invalid regex pattern: ") as caught:
        compile_expression("x && matches(x, '[')")
    assert caught.value.offset == 5


def test_the_functions_of_the_engine_whose_files_are_read_are_there() -> None:
    known = """now date time timestamp formatDate addDays addHours addMinutes env hasEnv envDefault fileExists readFile
        readJson fileSize fileName fileExt filePath joinPath upper lower trim replace substring length split join
        startsWith endsWith contains first last at slice filter map add subtract multiply divide round floor ceil
        default empty notEmpty toNumber toString toBoolean toJson fromJson"""
    assert set(known.split()) <= set(table)


def test_every_function_is_described() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs/expressions.md").read_text("utf-8")
    assert {name for name in table if f"`{name}(" not in text} == set()
