"""Words for rules and sizes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwave.core.language.rules import COMBINATIONS, OPERATORS
from stepwave.core.model import STAGES, Rule
from stepwave.core.reading.units import bytes_of
from stepwave.core.telling.wording import STAGE_NAMES, rule_words
from stepwave.core.text import size_of

a, b = Rule("equals", "{{a}}", 1), Rule("exists", "{{b}}")


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Rule("greater_than_or_equal", "{{steps.test.coverage}}", 80), "{{steps.test.coverage}} is at least 80"),
        (Rule("not_contains", "text", ["x", 1, None]), '"text" does not contain ["x", 1, null]'),
        (Rule("not_exists", "{{env.CI}}"), "{{env.CI}} does not exist"),
        (Rule("expression", "a == 1 || b"), "a == 1 || b"),
        (Rule("and", rules=(a, b)), "{{a}} equals 1 and {{b}} exists"),
        (Rule("or", rules=(a, Rule("and", rules=(a, b)))), "{{a}} equals 1 or ({{a}} equals 1 and {{b}} exists)"),
        (Rule("and", rules=(Rule("expression", "x || y"), b)), "(x || y) and {{b}} exists"),
        (Rule("not", rules=(Rule("or", rules=(a, b)),)), "not ({{a}} equals 1 or {{b}} exists)"),
        (Rule("equals", "{{a}}", "two\nlines \x1b[31m"), r'{{a}} equals "two\nlines \u001b[31m"'),
        (Rule("expression", "a\n\x1b[31m b"), r"a \x1b[31m b"),
    ],
)
def test_a_rule_in_words(rule: Rule, words: str) -> None:
    assert rule_words(rule) == words


@pytest.mark.parametrize("operator", [name for name in OPERATORS if name not in COMBINATIONS])
def test_every_comparison_has_words_of_its_own(operator: str) -> None:
    words = rule_words(Rule(operator, "{{a}}", 1))
    assert words.startswith("{{a}} ")
    assert "_" not in words
    assert sum(rule_words(Rule(other, "{{a}}", 1)) == words for other in OPERATORS if other not in COMBINATIONS) == 1


def test_a_long_rule_is_cut() -> None:
    assert len(rule_words(Rule("and", rules=(a,) * 1000), 60)) == 60


def test_every_part_of_a_run_has_a_name() -> None:
    assert len(set(STAGE_NAMES.values())) == len(STAGES) == len(STAGE_NAMES)


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 bytes"), (1, "1 byte"), (1023, "1023 bytes"), (1024, "1 KB"), (3 << 19, "1.5 MB"), (1 << 30, "1 GB"),
     (5 << 40, "5 TB")],
)  # fmt: skip
def test_a_size_in_words(count: int, words: str) -> None:
    assert size_of(count) == words


@given(st.integers(1024, 1 << 50))
def test_a_size_in_words_is_about_what_it_was(count: int) -> None:
    read = bytes_of(size_of(count))
    assert read is not None
    assert abs(read - count) <= count * 0.06
