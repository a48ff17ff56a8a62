import json
import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stepwave.core.language.evaluate import evaluate
from stepwave.core.language.expressions import compile_expression
from stepwave.core.language.scope import ExpressionError, Scope, Unresolved, Values
from stepwave.core.language.tree import references, uses_status
from stepwave.core.language.values import MAX_TEXT, in_order, number_of, same, text_of, truth
from stepwave.core.model import Value
from stepwave.core.text import one_line

NOON = 1_700_000_000.25  # 2023-11-14T22:13:20Z

scope = Values(
    variables={
        "x": 1,
        "zero": 0,
        "text": "Hello",
        "items": [1, 2, 3],
        "deploy": True,
        "config": {"a": {"b": [10, 20]}, "odd key": 5, "length": 99},
        "steps": "a variable called steps",
    },
    env={"CI": "true", "NODE_ENV": "production", "GONE": None},
    steps={
        "run-tests": {
            "result": "success",
            "exitCode": 0,
            "output": {"summary": "ok", "coverage": 91},
            "stdout": '{"summary": "ok", "coverage": 91}',
        },
        "weird.id": {"exitCode": 3, "output": "plain"},
        "01-first": {"output": "one"},
        "text": {"output": "never seen: a variable has this name"},
    },
    workflow={"id": "flow", "name": "Flow", "version": "1.2.3", "currentStepId": "here"},
    now=NOON,
)


def value(text: str, names: Scope = scope, *, lenient: bool = False) -> Value:
    return evaluate(compile_expression(text), names, lenient=lenient)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # literals
        ("1", 1),
        ("-2.5", -2.5),
        ("1e3", 1000.0),
        ("true", True),
        ("null", None),
        ("'single'", "single"),
        ('"dou\\"ble"', 'dou"ble'),
        (r"'it\'s'", "it's"),
        (r"'a\nb\tc\\d'", "a\nb\tc\\d"),
        (r"'C:\dir \d+'", r"C:\dir \d+"),
        ("[1, 'a', [true]]", [1, "a", [True]]),
        ("[]", []),
        # names
        ("x", 1),
        ("variables.x", 1),
        ("variable.x", 1),
        ("inputs.x", 1),
        ("config.a.b[1]", 20),
        ("items[0]", 1),
        ("items[-1]", 3),
        ("items[x]", 2),
        ("items.1", 2),
        ('config["odd key"]', 5),
        ("config[\"{{'odd'}} key\"]", 5),
        ("steps", "a variable called steps"),
        ("env.CI", "true"),
        ("workflow.id", "flow"),
        ("version", "1.2.3"),
        ("name", "Flow"),
        # steps
        ("steps.run-tests.output.summary", "ok"),
        ("steps.run-tests.coverage", 91),
        ("steps.run-tests.outputs.summary", "ok"),
        ("(steps.run-tests).coverage", 91),
        ('steps["weird.id"].exitCode', 3),
        ("steps.01-first.output", "one"),
        ("run-tests.output.summary", "ok"),
        ("run-tests.exitCode", 0),
        # operators
        ("1 == 1 && 2 == 2", True),
        ("false || x", 1),
        ("zero or 'fallback'", "fallback"),
        ("x and text", "Hello"),
        ("!x", False),
        ("!!x", True),
        ("not not not x", False),
        ("not x == 2", True),
        ("!zero == true", True),
        ("x === 1", True),
        ("x !== 2", True),
        ("2 in items", True),
        ("'ell' in text", True),
        ("5 not in items", True),
        ("(1 < 2) == true", True),
        ("true || nowhere", True),
        ("false && nowhere", False),
        # methods
        ("text.includes('ell')", True),
        ("text.startsWith('He') && text.endsWith('lo')", True),
        ("items.includes('2')", True),
        ("text.length", 5),
        ("items.length", 3),
        ("config.length", 99),
        ("split('a,bb', ',')[1].length", 2),
        ("'abc'.includes('b')", True),
        # substitution
        ("{{text}}.includes('ell')", True),
        ("{{steps.run-tests}}.coverage", 91),
        ("'{{x}}' == '1'", True),
        ("'a{{x}}b{{text}}'", "a1bHello"),
        ("'{{upper('{{text}}!')}}'", "HELLO!"),
        (r"'\{{x}}'", "{{x}}"),
        ("'{{' == '{{'", True),
        ("{{ {{x}} }}", 1),
        # status
        ("success()", True),
        ("failure()", False),
        ("always()", True),
    ],
)
def test_values(text: str, expected: Value) -> None:
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "message", "offset", "help"),
    [
        ("", "expected a value, found the end", 0, None),
        ("x ==", "expected a value, found the end", 4, None),
        ("x y", "expected an operator or the end, found `y`", 2, None),
        ("(x", "expected `)`, found the end", 2, None),
        ("x = 1", "`=` is not part of an expression", 2, "write `==` to compare"),
        ("5-3", "expected an operator or the end, found `-3`", 1, "subtract(a, b)"),
        ("x + 1", "`+` is not part of an expression", 2, "add(a, b)"),
        ("x ? 1", "`?` is not part of an expression", 2, "if(condition, a, b)"),
        ("'abc", "the quoted text has no end", 0, None),
        ("1 < 2 < 3", "comparisons cannot be chained", 6, "&&"),
        ("uper(x)", "there is no function `uper`", 0, "did you mean `upper`?"),
        ("text.inclodes(1)", "there is no method `.inclodes()`", 5, "did you mean `includes`?"),
        ("text.includes()", "`.includes()` takes 1 argument, not 0", 5, None),
        ("replace('a')", "`replace` takes 3 arguments, not 1", 0, None),
        ("upper()", "`upper` takes 1 argument, not 0", 0, None),
        ("add(1)", "`add` takes at least 2 arguments, not 1", 0, None),
        ("round(1, 2, 3)", "`round` takes 1 to 2 arguments, not 3", 0, None),
        ("a.", "expected a name after `.`", 2, None),
        ("\x1b[31m", "`\\x1b` is not part of an expression", 0, None),
        ("1" * 61, "the number is too long", 0, None),
        ("1e999", "the number is too large", 0, None),
        ("eval('1')", "there is no function `eval`", 0, None),
        ("x.__class__()", "there is no method `.__class__()`", 2, None),
        ("'{{x' == '}}'", "expected `}}`, found `'`", 4, None),
    ],
)
def test_what_cannot_be_parsed(text: str, message: str, offset: int, help: str | None) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text)
    assert (caught.value.message, caught.value.offset) == (message, offset)
    assert help is None or help in (caught.value.help or "")


@pytest.mark.parametrize(
    ("text", "message", "offset"),
    [
        ("x < 'abc'", "cannot compare a number with text that is not a number using `<`", 2),
        ("items > 1", "cannot compare a list with a number using `>`", 6),
        ("null <= 1", "cannot compare null with a number using `<=`", 5),
        ("true < 2", "cannot compare a boolean with a number using `<`", 5),
        ("1 in null", "cannot look for a number in null", 2),
        ("items[1.5]", "an index must be a whole number or text", 0),
        ("items[true]", "an index must be a whole number or text", 0),
    ],
)
def test_what_cannot_be_worked_out(text: str, message: str, offset: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        value(text)
    assert (caught.value.message, caught.value.offset) == (message, offset)


@pytest.mark.parametrize(
    ("text", "path", "help"),
    [
        ("txt", ("txt",), "did you mean `text`?"),
        ("variables.itms", ("variables", "itms"), "did you mean `variables.items`?"),
        ("variabels.x", ("variabels", "x"), "did you mean `variables`?"),
        ("steps.run-test.output", ("steps", "run-test", "output"), "did you mean `steps.run-tests`?"),
        ("steps.run-tests.summry", ("steps", "run-tests", "summry"), "did you mean `steps.run-tests.summary`?"),
        ("env.NODE_EN", ("env", "NODE_EN"), "did you mean `env.NODE_ENV`?"),
        ("env.GONE", ("env", "GONE"), None),
        ("env('NODE_EN')", ("env", "NODE_EN"), "did you mean `env.NODE_ENV`?"),
        ("workflow.versoin", ("workflow", "versoin"), "did you mean `workflow.version`?"),
        ("config.a.c", ("config", "a", "c"), None),
        ("config.adeep.c.d", ("config", "adeep", "c", "d"), None),
        ("items[9]", ("items", 9), None),
        ("text.size", ("text", "size"), None),
        ("workflow", ("workflow",), None),
        ("env", ("env",), None),
    ],
)
def test_names_without_a_value(text: str, path: tuple[str | int, ...], help: str | None) -> None:
    with pytest.raises(Unresolved) as caught:
        value(text)
    assert caught.value.path == path
    assert caught.value.help == help
    assert value(text, lenient=True) == ""


def test_an_unresolved_name_says_where_it_stands() -> None:
    with pytest.raises(Unresolved, match=r"`steps\[\"no id\"\].output\[0\]` has no value") as caught:
        value('x == 1 && steps["no id"].output[0]')
    assert caught.value.offset == 10


def test_a_failed_run_answers_failure() -> None:
    failed = Values(failed=True)
    assert [value(f"{name}()", failed) for name in ("success", "failure", "always")] == [False, True, True]


def test_a_number_is_looked_for_among_the_keys_of_an_object_as_text() -> None:
    scope = Values(variables={"ports": {"80": "http"}, "port": 80})
    assert evaluate(compile_expression("port in ports and 80 in ports and 8 not in ports"), scope) is True


@pytest.mark.parametrize("word", ["", "  ", "false", "false\n", 0, 0.0, None, False, [], {}])
def test_false_values(word: Value) -> None:
    assert truth(word) is False


@pytest.mark.parametrize("word", ["0", "no", "False", "true", 1, -1, True, [0], {"a": None}])
def test_true_values(word: Value) -> None:
    assert truth(word) is True


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("80", 80, True),
        (" 80\n", 80.0, True),
        ("80", "80.0", False),
        ("1e2", 100, True),
        ("abc", 80, False),
        (True, "true", True),
        (True, "true\n", True),
        (True, "True", False),
        (True, 1, False),
        (False, 0, False),
        (None, "", False),
        (None, None, True),
        (None, 0, False),
        ([1, "2"], ["1", 2], True),
        ([1], [True], False),
        ([1], [1, 2], False),
        ({"a": 1}, {"a": "1"}, True),
        ({"a": 1}, {"b": 1}, False),
        ([], {}, False),
        ("[1]", [1], False),
    ],
)
def test_sameness_is_symmetric(left: Value, right: Value, expected: bool) -> None:
    assert same(left, right) is expected
    assert same(right, left) is expected


def test_numbers_are_ordered_by_size_and_texts_by_character() -> None:
    assert in_order("<", "9", 10)
    assert in_order("<", 9, "10")
    assert not in_order("<", "9", "10")
    assert in_order("<=", "b", "b")


@pytest.mark.parametrize(
    ("whole", "text"),
    [(3.0, "3"), (2.5, "2.5"), (True, "true"), (None, ""), ({"a": ["é", 1]}, '{"a":["é",1]}'), (1e300, "1e+300")],
)
def test_values_as_text(whole: Value, text: str) -> None:
    assert text_of(whole) == text


def test_references() -> None:
    text = "variables.x == 'a{{steps.b-1.output[0]}}' && f.g[h.i].j && upper(env.CI) && env('HOME')"
    assert references(compile_expression(text)) == {
        ("variables", "x"),
        ("steps", "b-1", "output", "0"),
        ("f", "g"),
        ("h", "i"),
        ("env", "CI"),
        ("env", "HOME"),
    }


def test_guarded_references_can_be_left_out() -> None:
    expression = compile_expression("default(a.b, c) == coalesce(d, e) || env('F', g) || h.includes(i)")
    assert references(expression, guarded=False) == {("c",), ("g",), ("h",), ("i",)}
    assert expression.references == references(expression) >= {("a", "b"), ("d",), ("e",), ("env", "F")}


def test_status_is_found_inside() -> None:
    assert uses_status(compile_expression("x == 1 || !(always())"))
    assert not uses_status(compile_expression("'always()' == success"))


# --- bounds --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "(" * 100_000,
        "[" * 5_000,
        "{{" * 5_000,
        "'{{" * 3_000,
        "upper(" * 1_500,
        "a[" * 4_000,
        "x" * 20_000,
        "'" + "a" * 20_000 + "'",
        "(" * 30 + "1" + ")" * 30,
    ],
)
def test_deep_and_long_text_is_an_error(text: str) -> None:
    with pytest.raises(ExpressionError):
        compile_expression(text)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 20 + "x" + ")" * 20,
        "!" * 9_000 + "x",
        "not " * 2_000 + "x",
        " || ".join(["zero"] * 1_000),
        "zero" + "".join(f" && {n}" for n in range(1_000)),
        "items" + "[0]" * 3_000,
        "split('a')" + "[0]" * 3_000,
        "'" + "}}" * 4_000 + "'",
    ],
)
def test_wide_text_is_evaluated(text: str) -> None:
    try:
        value(text)
    except Unresolved as problem:
        assert "[0]" in text and problem.help is None


def test_ten_levels_of_braces_and_not_eleven() -> None:
    assert value("{{" * 10 + "x" + "}}" * 10) == 1
    with pytest.raises(ExpressionError, match=r"maximum interpolation depth \(10\) exceeded"):
        value("{{" * 11 + "x" + "}}" * 11)


def test_one_evaluation_cannot_make_much_text() -> None:
    greedy = "[" + ", ".join(["repeat('a', 1000000)"] * 300) + "].length"
    with pytest.raises(ExpressionError, match="too much text"):
        value(greedy)
    large = Values(variables={"a": "x" * MAX_TEXT, "list": [0] * 100_000})
    for text in ("join([a, a])", "'{{a}}{{a}}'", "toJson([a, a])", "split(a, '')", " && ".join(["list == list"] * 500)):
        with pytest.raises(ExpressionError):
            value(text, large)


def test_a_value_nested_too_deeply_is_an_error() -> None:
    deep: list[Value] = []
    for _ in range(5_000):
        deep = [deep]
    names = Values(variables={"deep": deep, "other": [deep]})
    for text in ("toJson(deep)", "deep == other", "'{{deep}}'"):
        with pytest.raises(ExpressionError, match="deep"):
            value(text, names)


_pieces = st.sampled_from(
    [
        *"()[].,'\"!<>=\\ \n-",
        "{{",
        "}}",
        "==",
        "&&",
        "||",
        " and ",
        " not ",
        " in ",
        "x",
        "items",
        "steps.",
        "run-tests",
        *(".output", ".includes(", "default(", "upper(", "1", "2.5", "true", "null", "env.", "é", "\x00", "$", "if("),
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.lists(_pieces, max_size=40).map("".join), st.text(max_size=60)))
@example("'\\")
@example("x.\\")
def test_any_text_ends_in_a_value_or_a_plain_error(text: str) -> None:
    try:
        found = value(text)
    except (ExpressionError, Unresolved) as problem:
        assert 0 <= problem.offset <= len(text)
        assert problem.message == one_line(problem.message)
        assert problem.help is None or problem.help == one_line(problem.help)
    else:
        json.dumps(found)


# --- an independent evaluator: each generated expression knows its value ---------------------------------------

Known = tuple[str, int | bool]


def _numbers(numbers: st.SearchStrategy[Known], truths: st.SearchStrategy[Known]) -> st.SearchStrategy[Known]:
    return st.one_of(
        st.tuples(numbers, numbers).map(lambda p: (f"add({p[0][0]}, {p[1][0]})", p[0][1] + p[1][1])),
        st.tuples(numbers, numbers).map(lambda p: (f"subtract({p[0][0]},{p[1][0]})", p[0][1] - p[1][1])),
        st.tuples(numbers, numbers).map(lambda p: (f"min({p[0][0]}, {p[1][0]})", min(p[0][1], p[1][1]))),
        st.tuples(truths, numbers, numbers).map(
            lambda p: (f"if({p[0][0]}, {p[1][0]}, {p[2][0]})", p[1][1] if p[0][1] else p[2][1])
        ),
        numbers.map(lambda p: (f"({p[0]})", p[1])),
        numbers.map(lambda p: (f"{{{{ {p[0]} }}}}", p[1])),
    )


def _truths(numbers: st.SearchStrategy[Known], truths: st.SearchStrategy[Known]) -> st.SearchStrategy[Known]:
    pair, couple = st.tuples(numbers, numbers), st.tuples(truths, truths)
    return st.one_of(
        pair.map(lambda p: (f"({p[0][0]} < {p[1][0]})", p[0][1] < p[1][1])),
        pair.map(lambda p: (f"({p[0][0]} >= {p[1][0]})", p[0][1] >= p[1][1])),
        pair.map(lambda p: (f"({p[0][0]} != '{p[1][1]}')", p[0][1] != p[1][1])),
        couple.map(lambda p: (f"({p[0][0]} && {p[1][0]})", p[0][1] and p[1][1])),
        couple.map(lambda p: (f"({p[0][0]} or {p[1][0]})", p[0][1] or p[1][1])),
        couple.map(lambda p: (f"({p[0][0]} == {p[1][0]})", p[0][1] == p[1][1])),
        truths.map(lambda p: (f"!{p[0]}", not p[1])),
        truths.map(lambda p: (f"(not {p[0]})", not p[1])),
    )


def _known() -> st.SearchStrategy[Known]:
    numbers: st.SearchStrategy[Known] = st.integers(-99, 99).map(lambda n: (str(n), n))
    truths: st.SearchStrategy[Known] = st.booleans().map(lambda b: (str(b).lower(), b))
    for _ in range(3):
        numbers, truths = numbers | _numbers(numbers, truths), truths | _truths(numbers, truths)
    return numbers | truths


@settings(max_examples=300, deadline=None)
@given(_known())
def test_against_the_value_that_the_generator_knows(known: Known) -> None:
    text, expected = known
    found = value(text)
    assert found == expected
    assert isinstance(found, bool) == isinstance(expected, bool)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["&&", "||"])), min_size=1, max_size=8))
def test_and_binds_tighter_than_or(terms: list[tuple[bool, str]]) -> None:
    words = [f"{str(term).lower()} {sign}" for term, sign in terms]
    text = " ".join(words).rsplit(" ", 1)[0]
    python = text.replace("&&", "*").replace("||", "+").replace("true", "1").replace("false", "0")
    total = sum(all(int(factor) for factor in part.split("*")) for part in python.split("+"))
    assert truth(value(text)) == (total > 0)


@given(st.text(alphabet=string.printable, max_size=20))
def test_quoted_text_comes_back(text: str) -> None:
    quoted = text.replace("\\", "\\\\").replace("'", "\\'").replace("{{", "\\{{")
    assert value(f"'{quoted}'") == text


@given(st.integers(-(10**12), 10**12) | st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_text_of_a_number_is_that_number(number: int | float) -> None:
    assert number_of(text_of(number)) == number
