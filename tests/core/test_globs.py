"""Two patterns of paths meet exactly where a plain matcher finds a path that both mean."""

import re
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stepwave.core.building.globs import MAX_STEPS, TooManySteps, overlap, pattern_of, within


@pytest.mark.parametrize(
    ("a", "b", "path"),
    [
        ("src/a.py", "src/a.py", "src/a.py"),
        ("src/a.py", "./src//a.py", "src/a.py"),
        ("src/a.py", "/src/./a.py", "src/a.py"),
        ("src\\a.py", "src/a.py", "src/a.py"),
        ("src/b/../a.py", "src/a.py", "src/a.py"),
        ("src", "src/a.py", "src/a.py"),
        ("src/", "src/core/a.py", "src/core/a.py"),
        ("src/", "src", "src/x"),
        ("src/**", "src/", "src/x"),
        (".", "src/a.py", "src/a.py"),
        ("", "a", "a"),
        ("**", "a/b", "a/b"),
        ("**/*.py", "src/core/", "src/core/x.py"),
        ("**/a.py", "a.py", "a.py"),
        ("src/*.py", "src/a*", "src/a.py"),
        ("src/*/test_*.py", "src/core/*_[ab]?.py", "src/core/test_ax.py"),
        ("a*b*c", "*x*", "axbc"),
        ("[a-c]", "[!ab]", "c"),
        ("[]-]x", "]x", "]x"),
        ("[a", "[a", "[a"),
        ("src/*", "src/core", "src/core"),
        ("src/*/", "src/core/a/b", "src/core/a/b"),
        ("schema/uet/*.json", "schema/uet", "schema/uet/x.json"),
        ("a.d", "a.d/x", "a.d/x"),
        ("a.d", "a.d/*/y", "a.d/x/y"),
        ("src", "**/*.py", "src/x.py"),
        (".?", "[.]*", ".x"),
    ],
)
def test_these_meet(a: str, b: str, path: str) -> None:
    assert overlap(a, b) == path
    assert overlap(b, a) is not None


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("src/a.py", "src/b.py"),
        ("src/a.py", "src/a.pyc"),
        ("src", "src2/a.py"),
        ("src/*.py", "src/core/a.py"),
        ("src/*", "src/core/a.py"),
        ("src/*", "src/core/"),
        ("src/", "srcs/"),
        ("*.py", "a/b.py"),
        ("**/a.py", "b.py"),
        ("?", "ab"),
        ("[a-c]", "[d-f]"),
        ("[z-a]", "a"),
        ("../a", "a"),
        ("A.py", "a.py"),
        ("**/*.py", "README.md"),
        ("src/**/*.py", "src/data.json"),
        ("a.d", "*/x"),
        ("[.]", "?"),
    ],
)
def test_these_do_not(a: str, b: str) -> None:
    assert overlap(a, b) is None
    assert overlap(b, a) is None


@pytest.mark.parametrize(
    ("inner", "outer", "answer"),
    [
        ("a/b.py", "a/", True),
        ("a/b.py", "a", True),
        ("a/b.py", "a/*.py", True),
        ("a/*.py", "a/*", True),
        ("a/*", "a/*.py", False),
        ("a/*", "a/?", False),
        ("a/", "a/b.py", False),
        ("a/", "a/**", True),
        ("a/[ab].py", "a/[abc].py", True),
        ("a/[abd].py", "a/[abc].py", False),
        ("a/**/x", "a", True),
        ("a/**/x", "a/*/x", False),
        ("docs", "docs/", True),
        ("Makefile", "*", True),
        (".gitkeep", "*", True),
    ],
)
def test_what_lies_within(inner: str, outer: str, answer: bool) -> None:
    assert within(inner, outer) is answer


# --- against a plain matcher -----------------------------------------------------------------------------------------

NAMES = ["a", "b", "aa", "ab", "ba", "bb", "aab", "bab"]
PATHS = ["/".join(names) for length in (1, 2, 3) for names in product(NAMES, repeat=length)]


def means(pattern: str, path: str) -> bool:
    """The same rules as a regular expression, made part by part."""
    parts = [part for part in pattern.split("/") if part]
    written = []
    for part in parts[: -1 if parts[-1:] == ["**"] else None]:
        inside = part.replace("*", "[^/]*").replace("?", "[^/]").replace("[!", "[^/")
        written.append("(?:[^/]+/)*" if part == "**" else f"(?=[^/]){inside}/")
    last = parts[-1] if parts else "**"
    below = last == "**" or pattern.endswith("/")
    plain = not re.search(r"[*?[]", last)
    tail = "[^/]+(/[^/]+)*/" if below else "([^/]+/)*" if plain else ""
    return re.fullmatch("".join(written) + tail, path + "/") is not None


part = st.sampled_from(["a", "b", "ab", "*", "?", "a*", "*b", "[ab]", "[!a]", "?b", "*a*", "**", "a?*"])
patterns = st.builds(
    lambda parts, end: "/".join(parts) + end, st.lists(part, min_size=1, max_size=4), st.sampled_from(["", "", "/"])
)


@given(patterns, patterns)
@example("**/a/**/b", "a/**/a/b")
@example("**", "**")
def test_two_patterns_meet_where_a_path_matches_both(a: str, b: str) -> None:
    path = overlap(a, b)
    if path is None:
        assert not [p for p in PATHS if means(a, p) and means(b, p)]
    else:
        assert means(a, path), path
        assert means(b, path), path
    assert (path is None) == (overlap(b, a) is None)


@given(st.sampled_from(PATHS), patterns)
def test_a_plain_path_lies_within_what_means_it_or_all_below_it(path: str, outer: str) -> None:
    assert within(path, outer) == (means(outer, path) or means(outer, f"{path}/\ue000"))


@given(patterns, patterns)
def test_what_lies_within_another_meets_it(a: str, b: str) -> None:
    assert within(a, a)
    if within(a, b):
        assert overlap(a, b) is not None


@given(st.text("ab*?[]!-/\\.^", max_size=12), st.text("ab*?[]!-/\\.^", max_size=12))
def test_every_text_is_a_pattern(a: str, b: str) -> None:
    path = overlap(a, b)
    if path is not None and not set(path) & set("*?["):
        assert overlap(a, path) is not None
        assert overlap(b, path) is not None


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("*a" * 200, "*b" * 200),
        ("a*" * 500 + "x", "*a" * 500 + "y"),
        ("**/a/" * 300, "**/b/" * 300),
        ("[!a]*" * 200, "?*" * 300),
        ("?" * 4000, "*" * 4000),
    ],
)
def test_hostile_patterns_end_soon(a: str, b: str) -> None:
    try:
        overlap(a, b)
    except TooManySteps:
        assert len(a) * len(b) > MAX_STEPS / 4


def test_what_a_pattern_begins_with() -> None:
    assert pattern_of("src/core/*.py").prefix == ("src", "core")
    assert [pattern_of(p).is_plain for p in ("a", "a/", "a/**", ".", "**", "a/*", "**/a")] == [True] * 5 + [False] * 2
