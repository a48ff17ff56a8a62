"""Every printer by whole outputs, and by the properties that hold for any text a file may contain."""

import json
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwave.core.diagnostics import Diagnostic, Place, Severity, error, info, warning
from stepwave.core.telling.printers import EXCERPT_COLUMNS, SHOWN, as_github, as_json, as_text, columns
from stepwave.core.telling.sarif import as_sarif

hostile = "x\x1b]52;c;aGk=\x07\r\n::error file=a::owned\u202e%0A::set-output name=a::b"
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
numbers = st.integers(1, 5)
places = st.builds(Place, texts, numbers, numbers, numbers, numbers)
findings = st.builds(Diagnostic, st.sampled_from(Severity), st.just("some-code"), texts, places, st.none() | texts)


def excerpt(line: str, start: int, end: int, *, end_line: int = 1) -> list[str]:
    """The excerpt and the caret line for columns start..end of a line, without the gutter."""
    shown = as_text([error("x", "y", Place("f", 1, start, end_line, end))], {"f": line}).split("\n")
    return [row[4:] for row in shown[3:5]]


def test_the_text_is_the_one_of_the_architecture() -> None:
    text = "\n" * 40 + '    dependsOn: ["tset"]\n'
    place = Place("examples/workflows/ci.yaml", 41, 17, 41, 23)
    message = "step `deploy` needs `tset`, which is not in this workflow"
    shown = as_text([error("unknown-step", message, place, "did you mean `test`?")], {place.path: text})
    assert shown == (
        "error[unknown-step]: step `deploy` needs `tset`, which is not in this workflow\n"
        "  --> examples/workflows/ci.yaml:41:17\n"
        "   |\n"
        '41 |     dependsOn: ["tset"]\n'
        "   |                 ^^^^^^\n"
        "   = help: did you mean `test`?\n"
        "\n"
        "1 error in examples/workflows/ci.yaml"
    )


def test_several_are_sorted_and_counted() -> None:
    found = [
        warning("second", "b", Place("ci.yaml", 2, 1, 2, 4)),
        info("third", "c", Place("ci.yaml", 3, 1, 3, 1)),
        error("first", "a", Place("ci.yaml", 1, 2, 1, 3)),
    ]
    assert as_text(found, {"ci.yaml": "one\r\ntwo\rthree"}) == (
        "error[first]: a\n --> ci.yaml:1:2\n  |\n1 | one\n  |  ^\n\n"
        "warning[second]: b\n --> ci.yaml:2:1\n  |\n2 | two\n  | ^^^\n\n"
        "info[third]: c\n --> ci.yaml:3:1\n  |\n3 | three\n  | ^\n\n"
        "1 error, 1 warning, 1 note in ci.yaml"
    )


def test_a_file_without_text_is_named_without_an_excerpt() -> None:
    shown = as_text([error("unreadable", "no such file", Place("gone.yaml")), error("e", "m", Place("b"))], {"b": ""})
    assert shown == "error[e]: m\n --> b\n\nerror[unreadable]: no such file\n --> gone.yaml\n\n2 errors in 2 files"


def test_nothing_to_say_is_nothing() -> None:
    assert as_text([], {}) == as_github([]) == ""


def test_paint_gets_every_role() -> None:
    found = [error("e", "m", Place("f"), "h"), warning("w", "m", Place("f")), info("i", "m", Place("f"))]
    roles: set[str] = set()

    def paint(text: str, role: str) -> str:
        roles.add(role)
        return text

    as_text(found, {"f": "line"}, paint)
    assert roles == {"error", "warning", "info", "place", "gutter", "caret", "help"}


@pytest.mark.parametrize(
    ("line", "start", "end", "shown", "carets"),
    [
        ("\tkey: v", 2, 5, "    key: v", "    ^^^"),
        ("日本: bad", 5, 8, "日本: bad", "      ^^^"),
        ("日本: bad", 2, 3, "日本: bad", "  ^^"),
        ("e\u0301: bad", 5, 8, "e\u0301: bad", "   ^^^"),
        ("\x1b[1m: bad", 1, 2, "\\x1b[1m: bad", "^^^^"),
        ("a\tb", 2, 2, "a    b", " ^"),
        ("ends", 5, 5, "ends", "    ^"),
        ("ends", 99, 120, "ends", "    ^"),
        ("", 1, 1, "", "^"),
    ],
)
def test_carets_stand_under_the_range(line: str, start: int, end: int, shown: str, carets: str) -> None:
    assert excerpt(line or "\n", start, end) == [shown, carets]


def test_a_range_of_several_lines_is_marked_to_the_end_of_its_first() -> None:
    assert excerpt("  key:  \n    more", 3, 5, end_line=2) == ["  key:", "  ^^^^"]


@pytest.mark.parametrize("start", [1, 40, 500, 9_990])
def test_a_long_line_is_cropped_around_the_range(start: int) -> None:
    line = "a" * (start - 1) + "TARGET" + "b" * (10_000 - start)
    shown, carets = excerpt(line, start, start + 6)
    assert shown[carets.index("^") : carets.index("^") + 6] == "TARGET"
    assert carets.count("^") == 6
    assert columns(shown.strip("…")) == EXCERPT_COLUMNS
    assert shown.startswith("…") == (start > EXCERPT_COLUMNS // 2)


def test_a_range_longer_than_the_excerpt_is_cut() -> None:
    shown, carets = excerpt("日" * 5000, 100, 4000)
    assert shown == "…" + "日" * (EXCERPT_COLUMNS // 2) + "…"
    assert carets == " " + "^" * EXCERPT_COLUMNS


@given(st.lists(findings, max_size=4), texts)
def test_text_never_fails_and_holds_no_control(found: list[Diagnostic], text: str) -> None:
    shown = as_text(found, {d.place.path: text for d in found})
    assert not [char for char in shown if category(char) == "Cc" and char != "\n"]


@given(
    st.text(st.sampled_from("ab\té日\u0301\x00 \u200b"), max_size=300),
    st.integers(1, 320),
    st.integers(0, 40),
)
def test_carets_never_reach_beyond_what_is_shown(line: str, start: int, length: int) -> None:
    shown, carets = excerpt(f"{line}$", start, start + length)
    assert 1 <= columns(carets.strip(" ")) <= max(length, 1) * len("    ")
    assert columns(carets) <= columns(shown) + 1
    assert columns(shown) <= EXCERPT_COLUMNS + len("……")


def test_many_findings_on_one_huge_line_are_printed_at_once() -> None:
    # Splitting or measuring the whole line for each finding would take minutes here.
    found = [error("e", "m", Place("f", 1, at + 1, 2, 1)) for at in range(0, 3_000_000, 1000)]
    assert len(as_text(found, {"f": "x" * 3_000_000}).split("\n")) == SHOWN * 6 + 3


def test_json_is_one_document_with_every_field() -> None:
    place = Place("a.yaml", 2, 3, 4, 5)
    document = json.loads(as_json([error("code", "message", place, "help"), warning("w", hostile, place)]))
    assert document["diagnostics"][0] == {
        "severity": "error",
        "code": "code",
        "message": "message",
        "help": "help",
        "path": "a.yaml",
        "line": 2,
        "column": 3,
        "endLine": 4,
        "endColumn": 5,
    }
    assert (document["errors"], document["warnings"]) == (1, 1)
    assert document["diagnostics"][1]["message"] == hostile


@given(st.lists(findings, max_size=4))
def test_json_and_sarif_are_plain_ascii_documents(found: list[Diagnostic]) -> None:
    for document in (as_json(found), as_sarif(found, "1.2.3")):
        assert all(char == "\n" or " " <= char <= "\x7f" for char in document)
        json.loads(document)


def test_github_gets_one_command_a_finding() -> None:
    found = [
        error("unknown-step", "no `x`: 100%", Place("ci, old.yaml", 3, 5, 3, 9), "did you mean `y`?"),
        warning("w", "m", Place("f", 2, 1, 4, 2)),
        info("i", "m", Place("f", 1, 1, 1, 1)),
    ]
    assert as_github(found).split("\n") == [
        "::error file=ci%2C old.yaml,line=3,col=5,endColumn=9,title=unknown-step"
        "::no `x`: 100%25%0Ahelp: did you mean `y`?",
        "::notice file=f,line=1,col=1,title=i::m",
        "::warning file=f,line=2,col=1,endLine=4,title=w::m",
    ]


@given(findings)
def test_github_properties_hold_no_second_command(finding: Diagnostic) -> None:
    line = as_github([finding])
    assert len(line.splitlines()) == 1 or not {"\r", "\n"} & set(line)
    head, _, _ = line.removeprefix("::").partition("::")
    keys = [part.partition("=")[0] for part in head.partition(" ")[2].split(",")]
    assert set(keys) <= {"file", "line", "col", "endLine", "endColumn", "title"}
    assert len(keys) == len(set(keys))


def test_hostile_text_is_no_command_of_its_own() -> None:
    line = as_github([error("c", hostile, Place(hostile), hostile)])
    assert "\n" not in line
    assert "\r" not in line
    assert "\x1b" not in line


def test_sarif_has_rules_levels_and_places() -> None:
    found = [
        error("unknown-step", "see [here](evil)", Place("my flows/ä:#.yaml", 3, 5, 3, 9), "did you mean `y`?"),
        error("unknown-step", "m", Place("/abs/f", 1, 1, 2, 1), "did you mean `z`?"),
        info("jsonc", "m", Place("b"), "drop the comments"),
    ]
    log = json.loads(as_sarif(found, "1.2.3"))
    run = log["runs"][0]
    rules = {rule["id"]: rule["help"]["text"] for rule in run["tool"]["driver"]["rules"]}
    assert (log["version"], run["columnKind"]) == ("2.1.0", "unicodeCodePoints")
    assert rules == {"unknown-step": "Unknown step", "jsonc": "drop the comments"}
    uris = [_physical(result)["artifactLocation"]["uri"] for result in run["results"]]
    assert uris == ["file:///abs/f", "b", "my%20flows/%C3%A4%3A%23.yaml"]
    assert [result["level"] for result in run["results"]] == ["error", "note", "error"]
    assert [run["tool"]["driver"]["rules"][r["ruleIndex"]]["id"] for r in run["results"]] == [
        result["ruleId"] for result in run["results"]
    ]
    assert run["results"][2]["message"]["text"] == "see [here] (evil)\nhelp: did you mean `y`?"
    assert _physical(run["results"][2])["region"] == {
        "startLine": 3,
        "startColumn": 5,
        "endLine": 3,
        "endColumn": 9,
    }


def _physical(
    result: dict[str, list[dict[str, dict[str, dict[str, object]]]]],
) -> dict[str, dict[str, object]]:
    return result["locations"][0]["physicalLocation"]


def test_of_very_many_findings_the_gravest_are_shown_and_the_others_counted() -> None:
    found: list[Diagnostic] = [warning("w", f"w{n}", Place("f", n + 1)) for n in range(1000)]
    found += [error("e", f"e{n}", Place("f", 5000 + n)) for n in range(SHOWN - 10)]
    shown = as_text(found, {})
    assert shown.count("warning[w]") == 10
    assert shown.count("error[e]") == SHOWN - 10
    assert shown.index("warning[w]: w9\n") < shown.index("error[e]: e0\n")
    assert shown.endswith(
        "\n\n… and 990 more (`stepwave validate --format json` has them all)\n\n190 errors, 1000 warnings in f"
    )
    assert len(json.loads(as_json(found))["diagnostics"]) == 1190
