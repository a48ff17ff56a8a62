"""The entry of the reader: encodings, limits, which syntax, tabs; and what holds for whatever bytes come in."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwave.core.diagnostics import Diagnostic, Severity, has_errors
from stepwave.core.reading import parse as parse_module
from stepwave.core.reading.document import Document, Mapping, Node, Scalar, Sequence, Syntax, plain
from stepwave.core.reading.parse import MAX_BYTES, MAX_DEPTH, lines, parse, untab

DATA = Path(__file__).resolve().parents[2] / "../shared/data/workflows"
FILES = sorted(path for path in DATA.glob("**/*") if path.is_file())


def document(data: str | bytes, path: str = "w.yaml") -> Document:
    made, found = parse(data.encode() if isinstance(data, str) else data, path)
    assert made is not None, found
    return made


def told(data: str | bytes, path: str = "w.yaml") -> list[tuple[str, int, int]]:
    """Code, line and column of every error."""
    made, found = parse(data.encode() if isinstance(data, str) else data, path)
    assert (made is None) == has_errors(found)
    return [(d.code, d.place.line, d.place.column) for d in found if d.severity is Severity.ERROR]


def below(node: Any, *keys: str | int) -> Any:
    for key in keys:
        node = node.items[key] if isinstance(key, int) else node.entries[key]
    return node


def nodes(node: Node) -> list[Node]:
    if isinstance(node, Scalar):
        return [node]
    children = node.items if isinstance(node, Sequence) else list(node.entries.values())
    return [node, *(inner for child in children for inner in nodes(child))]


def assert_inside(text: str, line: int, column: int, end_line: int, end_column: int) -> None:
    rows = lines(text)
    assert (line, column) <= (end_line, end_column)
    for row, at in ((line, column), (end_line, end_column)):
        assert 1 <= row <= len(rows)
        assert 1 <= at <= len(rows[row - 1]) + 1


def assert_sound(made: Document | None, found: list[Diagnostic], text: str) -> None:
    """What holds for any input: an error or a document, and every place in the text, where it says it is."""
    assert (made is None) == has_errors(found)
    for finding in found:
        place = finding.place
        assert_inside(text, place.line, place.column, place.end_line, place.end_column)
        assert "\n" not in finding.message
    if made is None:
        return
    for node in nodes(made.root):
        assert_inside(text, *node.span)
        if isinstance(node, Mapping):
            assert set(node.keys) == set(node.entries)
            for span in node.keys.values():
                assert_inside(text, *span)


# ── Encodings and line ends ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(("path", "text"), [("w.yaml", "näme: é𝄞\n"), ("w.json", '{"näme": "é𝄞"}')])
def test_utf8_and_utf16_are_read(encoding: str, path: str, text: str) -> None:
    made = document(text.encode(encoding), path)
    assert plain(made.root) == {"näme": "é𝄞"}
    assert made.text == text


@pytest.mark.parametrize("path", ["w.yaml", "w.json", "-"])
@pytest.mark.parametrize(
    ("data", "line", "column"),
    [
        (b"a: 1\nb: \xff", 2, 4),
        (b"\xff", 1, 1),
        ("é: ".encode() + b"\xc3", 1, 4),
        (b"\xef\xbb\xbfa\xff", 1, 2),
        (b"a\r\nb\r\xfe", 3, 1),
        (b"\xff\xfea\x00\x00\xd8", 1, 2),
        (b"\xff\xfea\x00b", 1, 2),
    ],
)
def test_the_first_byte_that_is_no_text_has_a_place(path: str, data: bytes, line: int, column: int) -> None:
    assert told(data, path) == [("not-utf8", line, column)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_counts(end: str) -> None:
    yaml = document(f"a: 1{end}{end}b: [x,{end} y]{end}")
    assert below(yaml.root, "b").span == (3, 4, 4, 4)
    assert yaml.text.count(end) == 4
    made = document(f'{{"a": 1,{end}{end}"b": ["x",{end} "y"]}}', "w.json")
    assert below(made.root, "b").span == (3, 6, 4, 6)


def test_lines_are_split_at_line_ends_only() -> None:
    assert lines("a\nb\r\nc\rd\x0b\x0c\x1c\x85\u2028e\n") == ["a", "b", "c", "d\x0b\x0c\x1c\x85\u2028e", ""]
    assert lines("") == [""]


# ── Limits ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["w.yaml", "w.json", "-"])
def test_a_file_of_zeros_is_refused(path: str) -> None:
    assert told(b"\0" * (MAX_BYTES + 1), path) == [("file-too-large", 1, 1)]
    assert told(b"\0" * 1000, path) == [("control-character", 1, 1)]


@pytest.mark.parametrize("path", ["w.yaml", "w.json", "-"])
@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":', "[[],"])
def test_a_hundred_thousand_brackets_are_too_deep(path: str, opening: str) -> None:
    (only,) = told(opening * 100_000, path)
    assert only[:2] == ("too-deep", 1)


@pytest.mark.parametrize("opening", ["{", "- ", "? ", "[{", "&a ["])
def test_yaml_has_more_ways_to_be_too_deep(opening: str) -> None:
    assert told(opening * 100_000)[0][0] == "too-deep"


@pytest.mark.parametrize("path", ["w.yaml", "w.json"])
def test_the_depth_that_is_allowed_is_read(path: str) -> None:
    made = document("[" * MAX_DEPTH + "]" * MAX_DEPTH, path)
    assert str(plain(made.root)) == "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert told("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), path) == [("too-deep", 1, MAX_DEPTH + 1)]


@pytest.mark.parametrize(("path", "reader"), [("w.yaml", "yaml_reader"), ("w.json", "json_reader")])
def test_too_many_values_are_refused(path: str, reader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"stepwave.core.reading.{reader}.MAX_NODES", 100)  # the real one takes seconds
    assert told("[" + "[],\n" * 99 + "]", path) == []
    assert told("[" + "[],\n" * 100 + "]", path) == [("too-many-values", 100, 1)]


@pytest.mark.parametrize("path", ["w.yaml", "w.json"])
def test_findings_stop_when_nobody_would_read_on(path: str) -> None:
    text = "{" + ",\n".join(['"a": 1'] * 5000) + "}"
    assert len(told(text, path)) == parse_module.MAX_ERRORS


@pytest.mark.parametrize(
    ("path", "text"),
    [
        *(
            ("w.yaml", text)
            for text in ("", "\n\n", " ", "# only a comment\n", "---\n", "---", "--- # nothing\n", "\ufeff")
        ),
        *(("w.json", text) for text in ("", "\n\n", " ", "// only a comment\n", "/* one */")),
        *(("-", text) for text in ("", "\n", "# only a comment\n", "// only a comment\n")),
    ],
)
def test_an_empty_file_is_an_error(path: str, text: str) -> None:
    assert told(text, path) == [("empty-file", 1, 1)]


# ── Which syntax ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("path", "text", "syntax", "value"),
    [
        ("w.json", '{"a": 1}', Syntax.JSON, {"a": 1}),
        ("W.JSON", '{"a": 1}', Syntax.JSON, {"a": 1}),
        ("w.yml", '{"a": 1}', Syntax.YAML, {"a": 1}),
        ("w.yaml", "a: 1", Syntax.YAML, {"a": 1}),
        ("-", '{"a": 1}', Syntax.JSON, {"a": 1}),
        ("-", '{"a": 1,} // c', Syntax.JSON, {"a": 1}),
        ("-", "{a: 1}", Syntax.YAML, {"a": 1}),
        ("-", '"steps": [1]', Syntax.YAML, {"steps": [1]}),
        ("-", "a: 1", Syntax.YAML, {"a": 1}),
        ("workflow", "- a", Syntax.YAML, ["a"]),
    ],
)
def test_the_name_decides_or_else_the_text(path: str, text: str, syntax: Syntax, value: object) -> None:
    made = document(text, path)
    assert (made.syntax, plain(made.root)) == (syntax, value)


def test_a_syntax_that_is_given_wins() -> None:
    made, _ = parse(b"a: 1", "-", Syntax.YAML)
    assert made is not None
    made, found = parse(b"a: 1", "w.yaml", Syntax.JSON)
    assert (made, [d.code for d in found]) == (None, ["json-syntax"])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"a": 1 "b": 2}', "json-syntax"),
        ('{"a": NaN}', "not-finite"),
        ('{"a": {2}}', "python-set"),
        ('{"a": [...]}', "ellipsis"),
        ('{"a": 1, "a": 2}', "duplicate-key"),
        ("a: b: c", "yaml-syntax"),
        ("- [", "yaml-syntax"),
    ],
)
def test_on_stdin_what_it_looks_like_has_the_word(text: str, code: str) -> None:
    assert [c for c, _, _ in told(text, "-")] == [code]


# ── Tabs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_tabs_that_indent_are_read_as_two_spaces() -> None:
    text = "steps:\n\t# a comment\n\t- id: a\n\t\targs: [x,\n\t\t\ty]\n\t  name: b\t# a tab within\n\t\n\t\tlast: 1\n"
    made, found = parse(text.encode(), "w.yaml")
    assert made is not None
    assert plain(made.root) == {"steps": [{"id": "a", "args": ["x", "y"], "name": "b", "last": 1}]}
    assert made.text == text
    (only,) = found
    assert (only.severity, only.code, only.place.line, only.place.column) == (Severity.WARNING, "tab-indent", 2, 1)
    assert only.message == "YAML forbids tab indentation; read as 2 spaces on 7 lines"
    assert only.help == "fix with `stepwave validate --fix`"


def test_places_are_those_of_the_text_with_tabs() -> None:
    made = document("steps:\n\t- id: a\n\t\targs: [x,\n\t\t\ty]\n\t  # c\n")
    step = below(made.root, "steps", 0)
    assert step.keys == {"id": (2, 4, 2, 6), "args": (3, 3, 3, 7)}
    assert below(step, "id").span == (2, 8, 2, 9)
    assert below(step, "args").span == (3, 9, 4, 6)
    assert told("a:\n\t- x\n\t- y: z: 1\n") == [("yaml-syntax", 3, 8)]
    assert told("a:\n\tb: 1\n\tb: 2\n") == [("duplicate-key", 3, 2)]


def test_tabs_are_not_blamed_for_another_error() -> None:
    _, found = parse(b"a: |\n  x\n  \ty\nb: c: d\n", "w.yaml")
    assert [d.code for d in found] == ["yaml-syntax"]


def test_tabs_that_yaml_allows_are_not_warned_of() -> None:
    made, found = parse(b"a: [\n\tx,\n\ty ]\nb:\t1\nc: |\n  x\n  \ty\n", "w.yaml")
    assert made is not None
    assert (plain(made.root), found) == ({"a": ["x", "y"], "b": 1, "c": "x\n\ty\n"}, [])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a:\n\tb: 1\n", "a:\n  b: 1\n"),
        ("a:\r\n\t\tb: 1\r\n\t", "a:\r\n    b: 1\r\n  "),
        ("a:\n \tb:\tx\n", "a:\n   b:\tx\n"),
        ("no tabs\n", "no tabs\n"),
        ("", ""),
        # of a block only its own indentation is replaced: the content is a Makefile for all we know
        ("a: |\n\tx:\n\t\tcc y\n\n\tz\nb:\n\tc: 1\n", "a: |\n  x:\n  \tcc y\n\n  z\nb:\n  c: 1\n"),
        ("a: |\n  x:\n  \tcc\nb:\n\tc: 1\n", "a: |\n  x:\n  \tcc\nb:\n  c: 1\n"),
        (
            "\t- run: >-  # why\n\t\t\tx\n\t\t\t\ty\n\t\tname: z\n",
            "  - run: >-  # why\n      x\n      \ty\n    name: z\n",
        ),
        ("\t- |2+\n\t\tx\n\t\t\ty\n\t- z\n", "  - |2+\n    x\n    \ty\n  - z\n"),
        ("--- |\n\tx\n\t\ty\n", "--- |\n  x\n  \ty\n"),
        ("a: !!str &b |\n\tx\n\t\ty\n", "a: !!str &b |\n  x\n  \ty\n"),
        # none of these opens a block
        ("# a: |\n\tb:\n\t\tc: 1\n", "# a: |\n  b:\n    c: 1\n"),
        ("a: # |\n\tb:\n\t\tc: 1\n", "a: # |\n  b:\n    c: 1\n"),
        ("a:\n\tb: x |\n\tc:\n\t\td: 1\n", "a:\n  b: x |\n  c:\n    d: 1\n"),
    ],
)
def test_untab(before: str, after: str) -> None:
    assert untab(before) == after
    assert untab(after) == after


# ── Whatever comes in ────────────────────────────────────────────────────────────────────────────────────────────────

json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=20,
)


@given(json_like, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_what_json_writes_is_read_back(value: object, ascii_only: bool, indent: int | str | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    made, found = parse(text.encode(), "w.json")
    assert made is not None
    assert found == []
    assert json.dumps(plain(made.root)) == json.dumps(value)  # tells 1 from 1.0 and from True
    assert_sound(made, found, text)


@given(st.binary(max_size=200), st.sampled_from(["w.yaml", "w.json", "-"]))
def test_random_bytes_never_raise(data: bytes, path: str) -> None:
    made, found = parse(data, path)
    if data[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        assert_sound(made, found, data.removeprefix(b"\xef\xbb\xbf").decode(errors="replace"))


pieces = st.sampled_from(
    [
        *"[]{}:,-?&*!|>'\"%@`#~<./\\ \n\r\tab01é𝄞\x85\u2028\ufeff\x7f\0",
        *["\r\n", "- ", ": ", "? ", "\n  ", "\n\t", "---", "...", "&a ", "*a", "<<: ", "!!int ", "|\n", "{{", "//"],
        *["/*", "*/", "\\u", "\\ud800", "null", "True", "NaN", ".inf", "1e9", '"a": ', "%TAG ", "\n- a: "],
    ]
)


@settings(max_examples=400)
@given(st.lists(pieces, max_size=40), st.sampled_from(["w.yaml", "w.json", "-"]))
def test_random_pieces_of_syntax_never_raise(parts: list[str], path: str) -> None:
    text = "".join(parts)
    made, found = parse(text.encode(), path)
    assert_sound(made, found, text.removeprefix("\ufeff"))


@given(st.lists(pieces, max_size=40))
def test_untab_changes_tabs_alone(parts: list[str]) -> None:
    text = "".join(parts)
    assert untab(text).replace(" ", "").replace("\t", "") == text.replace(" ", "").replace("\t", "")
    assert len(lines(untab(text))) == len(lines(text))
    assert untab(untab(text)) == untab(text)


# ── Real files ───────────────────────────────────────────────────────────────────────────────────────────────────────

REFUSED = {
    "seed003-block01-line69.json": ("ellipsis", 5, 13),
    "seed003-block02-line86.json": ("json-syntax", 2, 1),
    "seed003-block04-line127.json": ("json-syntax", 1, 1),
    "seed003-block08-line362.json": ("json-syntax", 1, 1),
    "ws-abs-003-process-executor.json": ("python-set", 8, 20),
}


@pytest.mark.skipif(not FILES, reason="the collection of real files is not here")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_real_files_are_read_or_refused_with_a_place(path: Path) -> None:
    data = path.read_bytes()
    expected = REFUSED.get(path.name)
    assert told(data, path.name) == ([expected] if expected else [])
    made, found = parse(data, path.name)
    assert_sound(made, found, data.decode())
    assert not found or found[0].help is not None or found[0].code == "jsonc"
    for node in nodes(made.root) if made else []:
        line, column, _, end_column = node.span
        if isinstance(node, Scalar) and not node.quoted:
            assert lines(data.decode())[line - 1][column - 1 : end_column - 1] == node.text
