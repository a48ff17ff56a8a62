"""JSON and JSONC: what is read, with places, and what is said about what is nearly JSON."""

import pytest

from stepwave.core.diagnostics import Diagnostic, Severity, has_errors
from stepwave.core.reading.document import Mapping, Node, Scalar, Sequence, Span, plain
from stepwave.core.reading.parse import parse


def root(text: str) -> Node:
    made, found = parse(text.encode(), "w.json")
    assert made is not None, found
    assert found == []
    return made.root


def told(text: str) -> list[Diagnostic]:
    made, found = parse(text.encode(), "w.json")
    assert (made is None) == has_errors(found)
    return found


def test_every_node_knows_its_place_and_its_text() -> None:
    made = root('{\n  "a": 1.50,\n  "b" : [ "x\\n", true,\n    {}],\r\n\t"é": null}\n')
    assert isinstance(made, Mapping)
    assert made.span == (1, 1, 5, 12)
    assert made.keys == {"a": (2, 3, 2, 6), "b": (3, 3, 3, 6), "é": (5, 2, 5, 5)}
    number, texts, nothing = made.entries.values()
    assert number == Scalar(1.5, "1.50", Span(2, 8, 2, 12), quoted=False)
    assert nothing == Scalar(None, "null", Span(5, 7, 5, 11), quoted=False)
    assert isinstance(texts, Sequence)
    assert texts.span == (3, 9, 4, 8)
    assert texts.items[0] == Scalar("x\n", "x\n", Span(3, 11, 3, 16), quoted=True)
    assert [item.span for item in texts.items[1:]] == [(3, 18, 3, 22), (4, 5, 4, 7)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-0", 0),
        ("-12", -12),
        ("1e3", 1000.0),
        ("-1.5E-2", -0.015),
        ("9" * 400, int("9" * 400)),
        ('""', ""),
        ('"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9"', '"\\/\b\f\n\r\té'),
        ('"\\ud834\\udd1e 𝄞 \\\\ud800"', "𝄞 𝄞 \\ud800"),
        ('"\x7f\x85\u2028"', "\x7f\x85\u2028"),
        ("[]", []),
        ("{ }", {}),
        (' [ [ ] , { "a" : [ ] } ] ', [[], {"a": []}]),
        ('{"\\u0061": 1, "": 2}', {"a": 1, "": 2}),
    ],
)
def test_values(text: str, value: object) -> None:
    made = plain(root(text))
    assert (made, type(made)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "value", "place"),
    [
        ("// c\n[1]", [1], (1, 1, 1, 5)),
        ("[1, // c\n 2 /* d\n */]", [1, 2], (1, 5, 1, 9)),
        ("[1 /* d\n */]", [1], (1, 4, 1, 8)),
        ("[1, 2, ]", [1, 2], (1, 6, 1, 7)),
        ('{"a": 1,\n}', {"a": 1}, (1, 8, 1, 9)),
        ('{/*c*/"a"/*d*/:/*e*/1/*f*/}/*g*/', {"a": 1}, (1, 2, 1, 7)),
        ('{"a" // why\n: 1}', {"a": 1}, (1, 6, 1, 12)),
        ("[/**/]", [], (1, 2, 1, 6)),
        ("{ // none\n}", {}, (1, 3, 1, 10)),
        ('["//", "/*"] //', ["//", "/*"], (1, 14, 1, 16)),
        ("[1]\n/* end", None, None),
    ],
)
def test_comments_and_trailing_commas_are_read_and_told_of_once(
    text: str, value: object, place: tuple[int, int, int, int] | None
) -> None:
    made, found = parse(text.encode(), "w.json")
    if place is None:
        assert [d.code for d in found] == ["json-syntax"]
        return
    assert made is not None
    assert plain(made.root) == value
    (only,) = found
    at = only.place
    assert (only.severity, only.code) == (Severity.INFO, "jsonc")
    assert (at.line, at.column, at.end_line, at.end_column) == place


def test_all_duplicate_keys_are_told() -> None:
    found = told('{"a": 1, "b": {"x": 1, "x": 2},\n "a": 2, "\\u0061": 3}')
    assert [(d.code, d.place.line, d.place.column) for d in found] == [
        ("duplicate-key", 1, 24),
        ("duplicate-key", 2, 2),
        ("duplicate-key", 2, 10),
    ]
    assert found[1].message == "key `a` is already set on line 1"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[1, NaN]", "not-finite"),
        ("[1, Infinity]", "not-finite"),
        ("[1, -Infinity]", "not-finite"),
        ("[1, 1e999]", "not-finite"),
        ("[1, " + "9" * 6000 + "]", "number-too-long"),
        ("[1, 0." + "9" * 6000 + "]", "number-too-long"),
    ],
)
def test_numbers_that_cannot_be_held(text: str, code: str) -> None:
    assert [(d.code, d.place.line, d.place.column) for d in told(text)] == [(code, 1, 5)]


@pytest.mark.parametrize("text", ['"\\ud800"', '"\\udc00\\ud800"', '"\\ud834x\\udd1e"', '"\\ud834\\\\udd1e"'])
def test_half_a_surrogate_pair_is_refused(text: str) -> None:
    assert [(d.code, d.place.line) for d in told(f"[\n{text}, {text}]")] == [("lone-surrogate", 2)] * 2
    assert [d.code for d in told(f"{{{text}: 1}}")] == ["lone-surrogate"]


SET = "a Python set, not JSON"
LISTS = "lists are written [..]"


@pytest.mark.parametrize(
    ("text", "code", "column", "message", "help"),
    [
        ("{'a': 1}", "json-syntax", 2, "key `a` is not in double quotes", "double quotes"),
        ("{a: 1}", "json-syntax", 2, "key `a` is not in double quotes", "double quotes"),
        ("{1: 1}", "json-syntax", 2, "key `1` is not in double quotes", "double quotes"),
        ('{"a": 1, b : 2}', "json-syntax", 10, "key `b` is not in double quotes", "double quotes"),
        ("['a']", "json-syntax", 2, "text in single quotes is not JSON", "double quotes"),
        ('{"a": abc}', "json-syntax", 7, "the text `abc` has no quotes", "double quotes"),
        ("[True]", "json-syntax", 2, "`True` is Python, not JSON", "true, false and null"),
        ("[None, 1]", "json-syntax", 2, "`None` is Python", "true, false and null"),
        ("[undefined]", "json-syntax", 2, "`undefined` is JavaScript", "null"),
        ('{"a": {[]}}', "python-set", 7, SET, LISTS),
        ('{"a": {2}}', "python-set", 7, SET, LISTS),
        ("{'a', 'b'}", "python-set", 1, SET, LISTS),
        ('["x", {"a"}]', "python-set", 7, SET, LISTS),
        ("[{(1, 2)}]", "python-set", 2, SET, LISTS),
        ("[(1, 2)]", "json-syntax", 2, "round brackets", LISTS),
        ("[...]", "ellipsis", 2, "`...` leaves something out", "write out"),
        ('{"a": 1, ...}', "ellipsis", 10, "`...` leaves something out", "write out"),
        ("[1, …]", "ellipsis", 5, "`…` leaves something out", "write out"),
        ('"steps": [1]', "json-syntax", 1, "the braces around it are missing", "wrap the whole text in { }"),
        ('{"a": 1 "b": 2}', "json-syntax", 8, "a comma is missing here", "comma"),
        ("[1 2]", "json-syntax", 3, "a comma is missing here", "comma"),
        ('["a" "b"]', "json-syntax", 5, "a comma is missing here", "comma"),
        ('["say "hi""]', "json-syntax", 8, "the text has ended before this", '\\"'),
        ('{"a" 1}', "json-syntax", 2, "`:` and a value are missing after this key", None),
        ('{"a": }', "json-syntax", 7, "a value is missing before `}`", None),
        ("[1,,2]", "json-syntax", 4, "a value is missing before `,`", None),
        ("[,]", "json-syntax", 2, "a value is missing before `,`", None),
        ('{"a": 1,, }', "json-syntax", 9, "a key in double quotes is expected, not `,`", None),
        ("[1}", "json-syntax", 3, "`}` does not close the `[` of line 1", "`]`"),
        ('{"a": 1]', "json-syntax", 8, "`]` does not close the `{` of line 1", "`}`"),
        ("{]", "json-syntax", 2, "`]` does not close the `{` of line 1", "`}`"),
        ('{"a": [1, 2', "json-syntax", 7, "the `[` opened here is never closed", None),
        ('{"a": 1', "json-syntax", 1, "the `{` opened here is never closed", None),
        ('{"a": ', "json-syntax", 1, "the `{` opened here is never closed", None),
        ("[1]]", "json-syntax", 4, "`]` closes nothing", None),
        ("[1] [2]", "json-syntax", 5, "the file goes on after its value has ended", "one list"),
        ('["a', "json-syntax", 2, "not closed on its line", "closing double quote"),
        ('["a\n"]', "json-syntax", 2, "not closed on its line", "closing double quote"),
        ('{"a\n": 1}', "json-syntax", 2, "not closed on its line", "closing double quote"),
        ('["a\tb"]', "control-character", 4, "U+0009", "write \\t"),
        ('["a\x00b"]', "control-character", 4, "U+0000", None),
        ("[\x00]", "control-character", 2, "U+0000", None),
        ("[1\x1b]", "control-character", 3, "U+001B", None),
        ('["C:\\dir"]', "json-syntax", 5, "`\\d` is not an escape", "\\\\"),
        ('["\\u12"]', "json-syntax", 3, "four hexadecimal digits", None),
        ("[010]", "json-syntax", 2, "`010` is not a number", "quotes"),
        ("[.5]", "json-syntax", 2, "`.5` is not a number", "quotes"),
        ("[1.]", "json-syntax", 2, "`1.` is not a number", "quotes"),
        ("[+1]", "json-syntax", 2, "`+1` is not a number", "quotes"),
        ("[0x1F]", "json-syntax", 2, "`0x1F` is not a number", "quotes"),
        ("[1_000]", "json-syntax", 2, "`1_000` is not a number", "quotes"),
        ("[1, # c\n2]", "json-syntax", 5, "`#` does not start a comment", "//"),
        ("[1, /* c", "json-syntax", 5, "the comment that starts here is never closed", None),
        ("name: x\n", "json-syntax", 1, "this looks like YAML", ".yaml"),
        ("# c\nname: x\n", "json-syntax", 1, "this looks like YAML", ".yaml"),
        ("- a\n", "json-syntax", 1, "this looks like YAML", ".yaml"),
        ('["a": 1]', "json-syntax", 5, "`:` is not expected here", "{..}"),
        ('{"a": 1; "b": 2}', "json-syntax", 8, "`,` or `}` is expected, not `;`", None),
        ("[\u2028]", "json-syntax", 2, "U+2028 cannot begin a value", None),
    ],
)
def test_what_is_nearly_json_gets_a_place_a_sentence_and_help(
    text: str, code: str, column: int, message: str, help: str | None
) -> None:
    (only,) = told(text)
    assert (only.code, only.place.line, only.place.column) == (code, 1, column)
    assert message in only.message
    assert (help or "") in (only.help or "")


def test_a_missing_comma_is_told_where_it_belongs() -> None:
    (only,) = told('{\n  "a": 1\n  "b": 2\n}')
    assert (only.message, only.place.line, only.place.column) == ("a comma is missing here", 2, 9)


def test_a_place_does_not_reach_into_a_line_end() -> None:
    (only,) = told("{'a\\\r\n")
    assert (only.place.end_line, only.place.end_column) == (1, 4)
