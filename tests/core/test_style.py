"""Marks, colours and cells: what is shown must be showable, harmless and no wider than asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwave.core.events import Outcome, StepFinished
from stepwave.core.telling.endings import ending, mark
from stepwave.core.telling.style import (
    Role,
    Style,
    can_show_unicode,
    cells,
    fit,
    last_line,
    line_of,
    make_style,
    pad,
    pad_left,
    wants_color,
)

PRETTY = make_style(color=False, unicode=True)
PLAIN = make_style(color=False, unicode=False)
styles = st.sampled_from((PRETTY, PLAIN))
anything = st.text(st.characters(), max_size=60) | st.text("a\x1b]52;\x07é日\u0301\u202e\ud800\n\t ", max_size=60)


@given(anything, styles, st.integers(0, 40))
def test_a_word_is_one_harmless_line_of_bounded_width(text: str, style: Style, limit: int) -> None:
    word = style.word(text, limit)
    assert cells(word) <= limit
    assert not any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 for char in word)
    word.encode("utf-8" if style.unicode else "ascii")  # raises for a character that no such stream takes


@given(anything, styles, st.integers(0, 40))
def test_a_quoted_line_is_harmless_too(text: str, style: Style, limit: int) -> None:
    quoted = style.quote(text, limit)
    assert cells(quoted) <= limit
    assert not any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 for char in quoted)
    quoted.encode("utf-8" if style.unicode else "ascii")


def test_a_quoted_line_keeps_indentation_and_drops_colours_but_shows_other_sequences() -> None:
    assert PRETTY.quote("\x1b[1;31m  E\x1b[0m\tx\x1b]52;c;aGk=\x07") == "  E     x\\x1b]52;c;aGk=\\x07"
    assert PRETTY.quote("10%\r50%\r100%\r\n") == "100%"


def test_a_name_of_megabytes_costs_no_more_than_what_is_shown() -> None:
    assert PRETTY.word("x" * 5_000_000, 10) == "xxxxxxxxx…"
    assert PLAIN.word("x" * 5_000_000, 10) == "xxxxxxx..."


@given(anything, st.integers(0, 100))
def test_padding_fills_up_to_the_width(text: str, width: int) -> None:
    assert cells(pad(text, width)) == max(width, cells(text)) == cells(pad_left(text, width))


def test_wide_characters_take_two_cells_and_combining_ones_none() -> None:
    assert cells("日本") == 4
    assert cells("e\u0301") == 1
    assert PRETTY.crop("日本語", 4) == "日…"


@given(st.lists(st.tuples(anything, st.none() | st.sampled_from(Role))), st.integers(0, 50), styles)
def test_a_fitted_line_is_never_wider(spans: list[tuple[str, Role | None]], width: int, style: Style) -> None:
    assert sum(cells(text) for text, _ in fit(spans, width, style)) <= width
    assert line_of(spans, width, style) == line_of(spans, width, style).rstrip(" ")


def test_paint_colours_only_where_colour_is_wanted() -> None:
    assert make_style(color=True, unicode=True).paint("x", Role.FAIL) == "\x1b[31mx\x1b[0m"
    assert PRETTY.paint("x", Role.FAIL) == "x"


@pytest.mark.parametrize(
    ("choice", "environ", "isatty", "wanted"),
    [
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ("auto", {"FORCE_COLOR": "1", "TERM": "dumb"}, False, True),
        ("auto", {"FORCE_COLOR": "0"}, True, False),
        ("auto", {"CLICOLOR_FORCE": "1"}, False, True),
        ("auto", {"CLICOLOR_FORCE": "0"}, False, False),
        ("auto", {"CLICOLOR": "0"}, True, False),
        ("auto", {"TERM": "dumb"}, True, False),
    ],
)
def test_colour_is_decided_from_the_choice_then_the_environment_then_the_terminal(
    choice: str, environ: dict[str, str], isatty: bool, wanted: bool
) -> None:
    assert wants_color(choice, environ, isatty) is wanted


@pytest.mark.parametrize(
    ("encoding", "environ", "can"),
    [
        ("utf-8", {}, True),
        ("UTF-8", {"LANG": "de_DE.UTF-8"}, True),
        ("ascii", {}, False),
        ("cp1252", {}, False),
        ("no-such-encoding", {}, False),
        (None, {}, False),
        ("utf-8", {"LANG": "C"}, False),
        ("utf-8", {"LANG": "C", "LC_CTYPE": "C.UTF-8"}, False),  # as Python leaves it behind
        ("utf-8", {"LANG": "C.UTF-8"}, True),
        ("utf-8", {"LANG": "C", "LC_ALL": "en_US.UTF-8"}, True),
        ("utf-8", {"LANG": "en_US.UTF-8", "LC_ALL": "POSIX"}, False),
        ("utf-8", {"LC_CTYPE": "C.UTF-8"}, True),
        ("utf-8", {"LANG": "C", "PYTHONUTF8": "1"}, True),
    ],
)
def test_unicode_needs_an_encoding_and_a_locale_that_can(
    encoding: str | None, environ: dict[str, str], can: bool
) -> None:
    assert can_show_unicode(encoding, environ) is can


def test_every_mark_of_the_plain_style_is_ascii() -> None:
    marks = [getattr(PLAIN, name) for name in PLAIN.__slots__ if name not in ("color", "unicode")]
    assert all(mark.isascii() and mark for mark in marks)


@pytest.mark.parametrize(
    ("event", "words", "glyph"),
    [
        (StepFinished("a", Outcome.COMPLETED, 1, 0, duration_s=165), "Complete (2m 45s)", "✓"),
        (StepFinished("a", Outcome.COMPLETED, 2, 0, duration_s=1), "Complete (1.0s, 2 attempts)", "✓"),
        (StepFinished("a", Outcome.FAILED, 1, 3, duration_s=0.012), "Failed (12ms): exit code 3", "✗"),
        (StepFinished("a", Outcome.FAILED, 1, signal=9), "Failed (0ms): ended by signal 9", "✗"),
        (StepFinished("a", Outcome.FAILED, 1, 3, tolerated=True), "Failed (0ms, tolerated): exit code 3", "!"),
        (StepFinished("a", Outcome.FAILED, reason="no executor"), "Failed: no executor", "✗"),
        (StepFinished("a", Outcome.TIMEOUT, 1, reason="timed out after 1s", duration_s=1), "Timed out (1.0s)", "✗"),
        (StepFinished("a", Outcome.SKIPPED, reason="Skipped due to x"), "Skipped due to x", "-"),
        (StepFinished("a", Outcome.SKIPPED, reason="its condition"), "Skipped: its condition", "-"),
        (StepFinished("a", Outcome.CANCELLED, 1, reason="\x1b[2J"), "Cancelled (0ms): \\x1b[2J", "-"),
    ],
)
def test_an_end_is_told_in_the_words_of_its_outcome(event: StepFinished, words: str, glyph: str) -> None:
    assert ending(event, PRETTY) == words
    assert mark(event, PRETTY)[0] == glyph


def test_the_last_line_is_the_last_that_says_something() -> None:
    assert last_line(b"one\ntwo\n\n  \n") == "two"
    assert last_line(b"10%\r20%\r") == "20%"
    assert last_line(b"\x9f\x98\x80cut in a character") == "cut in a character"
    assert last_line(b"\x1b[32mok\x1b[0m\x1b[K\n") == "ok"
    assert last_line(b"") == ""
