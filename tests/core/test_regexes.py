import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwave.core.language.regexes import MAX_GROUPS, MAX_PATTERN, BadPattern, TooSlow, check_pattern, search
from stepwave.core.language.values import MAX_TEXT, BadArgument


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("b+", "abbc", True),
        ("^b", "abbc", False),
        ("^b", "a\nb", False),
        ("(?m)^b$", "a\nb", True),
        ("(?i)ABC", "xabcx", True),
        ("(?i:A)b", "ab", True),
        (r"(\w)\1", "hello", True),
        (r"(?P<x>l)(?P=x)", "hello", True),
        (r"(?<x>l)o", "hello", True),
        ("a(?!b)", "ab", False),
        ("(?<=a)b", "ab", True),
        ("(?<!a)b", "ab", False),
        ("(?>a+)a", "aaa", False),
        ("a++a", "aaa", False),
        ("(a)?(?(1)b|c)", "ab", True),
        ("(?#no [note)b", "ab", True),
        (r"\p{Lu}", "aB", True),
        (r"\N{LATIN SMALL LETTER A}", "a", True),
        ("x{2,3}y", "xxy", True),
        ("x{2}y", "xy", False),
        ("", "", True),
        # braces that count nothing are text
        ('{"a": 1}', '{"a": 1}', True),
        ("(?:abc){e<=2}", "abX", False),
        ("a{e}", "a{e}", True),
        ("${HOME}", "x", False),
        ("[{e}]", "{", True),
    ],
)
def test_search(pattern: str, text: str, expected: bool) -> None:
    assert search(pattern, text) is expected


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("[a", "unterminated character set"),
        ("(a", r"missing \)"),
        ("*a", "nothing to repeat"),
        (r"\1", "invalid group reference"),
        ("a\\", "bad escape"),
        ("a{2,1}", "min repeat greater than max repeat"),
        (r"\L<x>", "undefined named list"),
        ("(?R)?a", r"`\(\?R\)\?a` is not supported"),
        ("(?1)", "is not supported"),
        ("(?&x)", "is not supported"),
        ("(?P>x)", "is not supported"),
        ("(?x)a # [\n(?R)", "is not supported"),
        ("(?e)a", "is not supported"),
        ("(?V1)a", "is not supported"),
        ("(?|a|b)", "is not supported"),
        ("x" * (MAX_PATTERN + 1), "has more than 1,000 characters"),
        ("(" * (MAX_GROUPS + 1) + ")" * (MAX_GROUPS + 1), "nested deeper than 30 levels"),
        ("(?:a{65535}){65535}", "come to more than 10,000 characters"),
        ("a{1000000000}", "come to more than 10,000 characters"),
        ("a{99999999999999999999}", "come to more than 10,000 characters"),
        ("(?:(?:(?:a{0,99}){0,99}){,99}b)", "come to more than 10,000 characters"),
        ("((a|b){100}c{2,}){100,}", "come to more than 10,000 characters"),
        (r"[[:](?:a{9999}){9999}[:]]", "come to more than 10,000 characters"),
        (r"[]](?:a{9999}){9999}", "come to more than 10,000 characters"),
        (r"[^\]](?:a{9999}){9999}", "come to more than 10,000 characters"),
    ],
)
def test_what_is_no_pattern(pattern: str, reason: str) -> None:
    for use in (check_pattern, lambda pattern: search(pattern, "a")):
        with pytest.raises(BadPattern, match=reason) as caught:
            use(pattern)
        assert str(caught.value).startswith("Invalid regex pattern: ")
        assert len(str(caught.value)) < 250


def test_a_long_search_is_given_up() -> None:
    with pytest.raises(TooSlow, match=re.escape("`(a|aa)+$` takes longer than 1 s on this text")):
        search("(a|aa)+$", "a" * 100 + "b")


def test_a_text_has_a_largest_size() -> None:
    assert search("b$", "a" * (MAX_TEXT - 1) + "b")
    with pytest.raises(BadArgument, match="longer than 1 MiB"):
        search("b$", "a" * MAX_TEXT + "b")


_parts = st.sampled_from(
    [*"ab.]()*+?{}|\\^$é\x00-,", "[ab]", "[^", "(?:", "(?=", "(?<!", "(?P<n>", "{2}", "{0,3}", "\\1", "\\w", "(?i)"]
) | st.sampled_from(["(?#", "{9999999}", "(?R)", "[[:", ":]"])


@settings(max_examples=400, deadline=None)
@given(st.lists(_parts, max_size=12).map("".join) | st.text(max_size=20), st.text(alphabet="ab1é{\n", max_size=12))
def test_any_pattern_ends_in_an_answer_or_a_plain_error(pattern: str, text: str) -> None:
    try:
        assert search(pattern, text) in (True, False)
    except BadArgument as problem:
        assert str(problem) == " ".join(str(problem).split("\n"))


_plain = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "^", "$", r"\w", r"\{", "x{2}"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map("|".join),
        inner.map(lambda one: f"(?:{one})?"),
        inner.map(lambda one: f"({one})"),
        inner.map(lambda one: f"(?={one})"),
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(_plain, st.text(alphabet="abx{", max_size=6))
def test_it_finds_what_the_standard_library_finds(pattern: str, text: str) -> None:
    assert search(pattern, text) == (re.search(pattern, text) is not None)
