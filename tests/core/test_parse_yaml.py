"""YAML: what scalars mean, anchors and merges, what is said of what cannot be read; with both of PyYAML's loaders."""

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from stepwave.core.diagnostics import Diagnostic, has_errors
from stepwave.core.reading.document import Document, Mapping, Node, Scalar, Sequence, plain
from stepwave.core.reading.parse import parse


@pytest.fixture(params=["libyaml", "python"], autouse=True)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "python":
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    elif not hasattr(yaml, "CSafeLoader"):
        pytest.skip("PyYAML was built without libyaml")
    return str(request.param)


def document(text: str) -> Document:
    made, found = parse(text.encode(), "w.yaml")
    assert made is not None, found
    assert found == []
    return made


def told(text: str) -> list[Diagnostic]:
    made, found = parse(text.encode(), "w.yaml")
    assert (made is None) == has_errors(found)
    return found


def codes(text: str) -> list[tuple[str, int, int]]:
    return [(d.code, d.place.line, d.place.column) for d in told(text)]


def entry(root: Node, *keys: str | int) -> Node:
    for key in keys:
        if isinstance(root, Mapping):
            root = root.entries[str(key)]
        else:
            assert isinstance(root, Sequence)
            root = root.items[int(key)]
    return root


# ── Scalars ──────────────────────────────────────────────────────────────────────────────────────────────────────────

NULLS = ["~", "null", "Null", "NULL"]
TEXTS = [
    *("no", "yes", "on", "off", "y", "n", "Yes", "NO", "ON", "nUll", "tRUE", "truE", "None", "False!", "foo", "="),
    *(
        "22:22",
        "1:30:00",
        "08:15",
        "1_000",
        "0b11",
        "0x",
        "0o8",
        "0xfg",
        "1.10.1",
        "1e",
        "1e+",
        "e5",
        "1-2",
        "0o-7",
        "-0x1",
    ),
    *(".", "--", "+-1", "..", ".e1", ".inF", "-.nan", "NaN", "nan", "Infinity", "inf", "-Infinity", "٣"),
    *("2024-01-01", "2024-01-01T10:00:00Z"),
]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        *((text, None) for text in ["", *NULLS]),
        *((text, True) for text in ("true", "True", "TRUE")),
        *((text, False) for text in ("false", "False", "FALSE")),
        *((text, text) for text in TEXTS),
        ("0", 0), ("-0", 0), ("+7", 7), ("-12", -12), ("010", 10), ("0o17", 15), ("0x1F", 31), ("0xff", 255),
        ("9" * 400, int("9" * 400)),
        ("1.10", 1.1), ("1.", 1.0), (".5", 0.5), ("-.5", -0.5), ("+1.5e3", 1500.0), ("1e3", 1000.0), ("1E-2", 0.01),
    ],
)  # fmt: skip
def test_a_plain_scalar_means_what_yaml_1_2_says_and_keeps_its_text(written: str, value: object) -> None:
    for text, *path in ((f"a: {written}\n", "a"), (f"- {written}\n", 0), (f"{{a: {written}}}", "a")):
        node = entry(document(text).root, *path)
        assert isinstance(node, Scalar)
        assert (node.value, type(node.value), node.text, node.quoted) == (value, type(value), written, False)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("'no'", "no"),
        ('"1"', "1"),
        ("'it''s'", "it's"),
        ('"a\\tb\\x41\\u00e9\\U0001d11e\\N"', "a\tbAé𝄞\x85"),
        ('"null"', "null"),
        ("''", ""),
        ("|\n  a\n   b\n\n", "a\n b\n"),
        (">-\n  a\n  b\n", "a b"),
        ("|2\n   a\n", " a\n"),
        ("'a\n  b'", "a b"),
    ],
)
def test_what_is_quoted_or_a_block_is_text(written: str, text: str) -> None:
    assert entry(document(f"a: {written}").root, "a") == Scalar(
        text, text, entry(document(f"a: {written}").root, "a").span, True
    )


@pytest.mark.parametrize("newline", ["\x85", "\u2028", "\u2029"])
def test_only_real_line_ends_end_a_line(newline: str) -> None:
    made = document(f"a: x{newline}y # z{newline}b\nc: '{newline}'\nd: 1\n")
    assert plain(made.root) == {"a": f"x{newline}y", "c": newline, "d": 1}
    assert entry(made.root, "d").span == (3, 4, 3, 5)
    both = document(f"\ue000a: x{newline}\u2028y\n")
    assert plain(both.root) == {"\ue000a": f"x{newline}\u2028y"}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("!!str 010", "010"),
        ("!!str", ""),
        ("! 12", "12"),
        ("!!int 12", 12),
        ('!!int "12"', 12),
        ("!!float 3", 3.0),
        ("!!bool true", True),
        ('!!null ""', None),
        ("!!map {a: 1}", {"a": 1}),
        ("!!seq [a]", ["a"]),
        ("!<tag:yaml.org,2002:str> 1", "1"),
    ],
)
def test_the_standard_tags_are_honoured(written: str, value: object) -> None:
    assert plain(document(f"a: {written}").root) == {"a": value}


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("!!python/object/apply:os.system ['x']", "unsupported-tag"),
        ("!!python/name:os.system ''", "unsupported-tag"),
        ("!secret x", "unsupported-tag"),
        ("!!binary aGk=", "unsupported-tag"),
        ("!!set {a, b}", "unsupported-tag"),
        ("!!timestamp 2024-01-01", "unsupported-tag"),
        ("!!int many", "tag-mismatch"),
        ("!!bool yes", "tag-mismatch"),
        ("!!null x", "tag-mismatch"),
        ("!!map x", "unsupported-tag"),
        ("!!str [x]", "unsupported-tag"),
        (".inf", "not-finite"),
        ("-.INF", "not-finite"),
        (".NaN", "not-finite"),
        ("1e999", "not-finite"),
        ("9" * 6000, "number-too-long"),
        ("0x" + "f" * 6000, "number-too-long"),
        ("1." + "0" * 6000, "number-too-long"),
        ("!!float " + "9" * 6000, "number-too-long"),
    ],
)
def test_values_that_are_refused(written: str, code: str) -> None:
    assert codes(f"a: {written}\nb: {written}\n") == [(code, 1, 4), (code, 2, 4)]


def test_text_that_looks_like_a_bad_number_is_no_error_where_it_is_a_key_or_quoted() -> None:
    assert plain(document("1e999: '.inf'\n.nan: !!str 1e999\n").root) == {"1e999": ".inf", ".nan": "1e999"}


def test_half_a_surrogate_pair_is_refused() -> None:
    ((code, line, _),) = codes('a: "\\ud800"\n')
    assert (code in ("yaml-syntax", "lone-surrogate"), line) == (True, 1)


# ── Keys and places ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_keys_are_text_as_written() -> None:
    made = document("1: a\n010: b\ntrue: c\n~: d\n'q': e\n? |\n  block\n: f\n?\n: g\n")
    assert plain(made.root) == {"1": "a", "010": "b", "true": "c", "~": "d", "q": "e", "block\n": "f", "": "g"}


def test_every_node_knows_its_place() -> None:
    made = document("a: 1\nb:\n  - x\n  - {k: 'v',\n     l: }\nc: |\n  one\n\n  two\n\n\nd:\n  e:\n")
    assert isinstance(made.root, Mapping)
    assert made.root.span == (1, 1, 13, 5)
    assert made.root.keys["c"] == (6, 1, 6, 2)
    assert entry(made.root, "a").span == (1, 4, 1, 5)
    assert entry(made.root, "b").span == (3, 3, 5, 10)
    assert entry(made.root, "b", 1).span == (4, 5, 5, 10)
    assert entry(made.root, "b", 1, "k").span == (4, 9, 4, 12)
    assert entry(made.root, "c").span == (6, 4, 9, 6)
    assert entry(made.root, "d", "e").span == (13, 5, 13, 5)


def test_columns_are_characters() -> None:
    made = document("é𝄞: {ü: 𝄞𝄞, z: 1}\n")
    assert entry(made.root, "é𝄞").span == (1, 5, 1, 18)
    assert entry(made.root, "é𝄞", "z").span == (1, 16, 1, 17)


def test_all_duplicate_keys_are_told() -> None:
    text = "a: 1\nb: {x: 1, y: 2, x: 3}\na: 2\n'a': 3\n1: x\n'1': y\n"
    assert codes(text) == [
        ("duplicate-key", 2, 17),
        ("duplicate-key", 3, 1),
        ("duplicate-key", 4, 1),
        ("duplicate-key", 6, 1),
    ]
    assert [d.message for d in told(text)][1] == "key `a` is already set on line 1"


def test_keys_that_are_not_text() -> None:
    text = "[a, b]: 1\n{c: d}: 2\n? - x\n: 3\ne: {{x.y}}\n"
    assert codes(text) == [
        ("key-not-text", 1, 1),
        ("key-not-text", 2, 1),
        ("key-not-text", 3, 3),
        ("key-not-text", 5, 5),
    ]
    assert [d.help for d in told(text)] == ["write text before the `:`"] * 3 + [
        "put a value that begins with {{ in quotes"
    ]


# ── Anchors and merges ───────────────────────────────────────────────────────────────────────────────────────────────


def test_an_alias_is_the_same_node() -> None:
    made = document("a: &x {k: [1]}\nb: *x\nc: &s text\nd: *s\n*s : e\n&f g: *f\n")
    assert entry(made.root, "a") is entry(made.root, "b")
    assert entry(made.root, "c") is entry(made.root, "d")
    assert entry(made.root, "b").span == (1, 4, 1, 15)
    assert plain(made.root) == {"a": {"k": [1]}, "b": {"k": [1]}, "c": "text", "d": "text", "text": "e", "g": "g"}


def test_an_anchor_may_be_defined_again() -> None:
    assert plain(document("- &a x\n- *a\n- &a y\n- *a\n- &a [&a z, *a]\n- *a\n").root) == [
        "x",
        "x",
        "y",
        "y",
        ["z", "z"],
        "z",
    ]


@pytest.mark.parametrize("text", ["&a [*a]", "&a {b: {c: [*a]}}", "x: &a\n  - y: *a\n", "&a {*a : 1}"])
def test_an_anchor_within_itself_is_refused(text: str) -> None:
    assert [code for code, _, _ in codes(text)] == ["recursive-anchor"]


def test_an_unknown_anchor_is_refused() -> None:
    assert codes("a: *x\nb: [*y]\n") == [("unknown-anchor", 1, 4), ("unknown-anchor", 2, 5)]


def levels(first: str, form: str, count: int) -> str:
    """`k0: &k0 first`, then `k1` made of `k0` by the form, and so on."""
    return f"k0: &k0 {first}\n" + "".join(f"k{i}: &k{i} {form.format(f'*k{i - 1}', i)}\n" for i in range(1, count))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (levels("[x, x, x, x, x, x, x, x, x]", "[{0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}]", 9), "alias-bomb"),
        (levels("{x: 1, y: 2}", "{{a: {0}, b: {0}}}", 40), "alias-bomb"),
        (levels("{x: 1, y: 2}", "{{<<: [{0}, {0}], z{1}: 1}}", 60), "alias-bomb"),
        (levels("{x: 1}", "{{<<: {0}, y{1}: 1}}", 5000), "alias-bomb"),
        (levels("[x]", "[{0}]", 5000), "too-deep"),
        ("a: &a " + "x" * 100_000 + "\nb: [" + "*a, " * 1000 + "]\n", "alias-bomb"),
        ("a: &a [" + "x" * 100_000 + "]\nb: [" + "*a, " * 1000 + "]\n", "alias-bomb"),
    ],
)
def test_an_alias_bomb_is_refused(text: str, code: str) -> None:
    assert [c for c, _, _ in codes(text)] == [code]


def test_many_honest_aliases_are_read() -> None:
    made = document("d: &d {retries: 2, env: {A: b}}\nsteps:\n" + "- {<<: *d, id: x}\n" * 2000)
    assert plain(made.root)["steps"][1999] == {"retries": 2, "env": {"A": "b"}, "id": "x"}  # type: ignore[index]


def test_merged_keys_give_way_to_written_ones_and_later_to_earlier() -> None:
    text = "one: &one {a: 1, b: 1}\ntwo: &two {b: 2, c: 2, d: 2}\nall: {d: 0, <<: [*one, *two, {e: 3}], c: 0}\n"
    made = document(text)
    everything = entry(made.root, "all")
    assert plain(everything) == {"a": 1, "b": 1, "c": 0, "d": 0, "e": 3}
    assert isinstance(everything, Mapping)
    assert everything.keys["a"] == (1, 12, 1, 13)
    assert everything.keys["c"] == (3, 39, 3, 40)
    assert set(everything.keys) == set(everything.entries)
    assert plain(document("'<<': 1\n").root) == {"<<": 1}


def test_merges_that_are_refused() -> None:
    assert codes("a: {<<: 1}\nb: {<<: [{x: 1}, y]}\n") == [("merge-not-mapping", 1, 9), ("merge-not-mapping", 2, 9)]
    (twice,) = told("x: &x {}\nb: {<<: *x, <<: *x}\n")
    assert (twice.code, twice.help) == ("duplicate-key", "merge several mappings with `<<: [*one, *other]`")


# ── What cannot be read ──────────────────────────────────────────────────────────────────────────────────────────────


def test_several_documents_are_refused_where_the_second_begins() -> None:
    assert codes("a: 1\n---\nb: 2\n") == [("several-documents", 2, 1)]
    assert plain(document("%YAML 1.2\n---\na: 1\n...\n# end\n").root) == {"a": 1}


@pytest.mark.parametrize(("character", "column"), [("\0", 4), ("\x07", 4), ("\x1b", 4), ("\x7f", 4), ("\ufffe", 4)])
def test_characters_that_cannot_be_printed_are_refused(character: str, column: int) -> None:
    assert codes(f"x: y\na: {character}b\n") == [("control-character", 2, column)]


@pytest.mark.parametrize(
    ("text", "line", "column", "message", "help"),
    [
        ("a: b: c", 1, 5, "`:` is not allowed here", "in quotes"),
        ("a: 1\n  b: 2", 2, 4, "`:` is not allowed here", "indentation"),
        ("a:\n  b: 1\n c: 2", 3, 2, "does not belong to the mapping that begins on line 1", "one column"),
        ('a: "x" y', 1, 8, "does not belong to the mapping", "quotes"),
        ("- a\nb: 1", 2, 1, "does not belong to the list that begins on line 1", "`-` of items"),
        ("a: - b", 1, 4, "`-` cannot begin a list here", "next line"),
        ("a: [1, 2\nb: 3\n", 2, 2, "the bracket of line 1 is not closed", None),
        ("a: 1\nb: [1, 2\n", 2, 4, "the bracket that opens here is never closed", None),
        ("a: [\n", 1, 4, "the bracket that opens here is never closed", None),
        ("a: {x: [1\n", 1, 8, "the bracket that opens here is never closed", None),
        ("a: 'x\nb: 1", 1, 4, "the quoted text that starts here is never closed", None),
        ("a: ]", 1, 4, "`]` is found where a value should be", "in quotes"),
        ("a: @x", 1, 4, "`@` cannot begin a value", "begins with `@` in quotes"),
        ("a: `x`", 1, 4, "U+0060 cannot begin a value", "in quotes"),
        ("a: *", 1, 4, "`*` must be followed by the name of an anchor", "begins with `*` in quotes"),
        ("a: *.py", 1, 4, "`*` must be followed by the name of an anchor", "begins with `*` in quotes"),
        ("a: |x\n y", 1, 5, "`x` cannot follow `|` or `>`", "next line"),
        ("a: {{x}} y", 1, 10, "does not belong to the mapping", "begins with {{ in quotes"),
        ("%FOO bar\n---\na", 1, 5, "directive", None),
        ("%YAML 3.0\n--- a", 1, 1, "directive", None),
        ("a: !e!x y", 1, 4, "tag cannot be understood", "`!`"),
        ("{a: 1}}", 1, 7, "does not belong to what stands before it", "indentation"),
        ("a\nb: 1", 2, 2, "`:` is not allowed here", "indentation"),
    ],
)  # fmt: skip
def test_a_syntax_error_has_a_place_a_sentence_and_help(
    loader: str, text: str, line: int, column: int, message: str, help: str | None
) -> None:
    if loader == "python" and text.startswith("%FOO"):
        return  # which it ignores, as it may
    *_, finding = told(text)
    assert finding.code == "yaml-syntax"
    assert finding.place.line == line
    assert re.fullmatch(r"(?:[^A-Z\n]|U\+)[^\n]*[^.\n]", finding.message)
    if loader == "libyaml":  # the other one sees some of them a little earlier or later
        assert finding.place.column == column
        assert message in finding.message
        assert (help or "") in (finding.help or "")


def test_a_backslash_in_double_quotes_gets_help() -> None:
    (finding,) = told('a: "C:\\dir"\n')
    assert (finding.code, finding.place.line) == ("yaml-syntax", 1)
    assert finding.message == "what follows this backslash is not known to YAML"


def test_too_many_directives_are_refused() -> None:
    assert codes("%YAML 1.2\n" + "".join(f"%TAG !a{i}! b\n" for i in range(100_000)) + "--- x\n") == [
        ("yaml-syntax", 1, 1)
    ]


# ── What PyYAML writes ───────────────────────────────────────────────────────────────────────────────────────────────

# Text that YAML 1.2 and PyYAML, which writes for 1.1, do not mean differently.
same_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x85\u2028\u2029"), max_size=20)
same_text = same_text.filter(lambda text: not re.match(r"[-+]?(\.?[0-9]|0o)", text))
yaml_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | same_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(same_text, inner, max_size=4),
    max_leaves=15,
)


def test_what_pyyaml_writes_is_read_back() -> None:
    @given(yaml_like, st.booleans(), st.sampled_from([True, False, None]))
    def check(value: object, unicode: bool, flow: bool | None) -> None:
        text = yaml.safe_dump({"v": value}, allow_unicode=unicode, default_flow_style=flow, sort_keys=False)
        made = document(text)
        assert repr(plain(made.root)) == repr({"v": value})

    check()


def test_what_is_indented_with_tabs_is_read_alike() -> None:
    @given(yaml_like)
    def check(value: object) -> None:
        text = yaml.safe_dump({"v": [{"w": value}]}, default_flow_style=False, sort_keys=False, width=10_000)
        tabbed = re.sub(r"^(?:  )+", lambda match: "\t" * (len(match[0]) // 2), text, flags=re.MULTILINE)
        made, found = parse(tabbed.encode(), "w.yaml")
        assert made is not None
        assert repr(plain(made.root)) == repr({"v": [{"w": value}]})
        assert [finding.code for finding in found] == ["tab-indent"] * len(found)

    check()
