"""Durations and sizes as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwave.core.reading.units import Unit, bytes_of, in_seconds, is_bare_number, seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1500ms", 1.5),
        ("300ms", 0.3),
        ("30s", 30.0),
        ("1.5s", 1.5),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("1h 30m 5s 20ms", 5405.02),
        ("2d", 172800.0),
        (" 10 min ", 600.0),
        ("2 hours", 7200.0),
        ("0s", 0.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "30", "s", "30x", "-5s", "1s1s", "5m1h", "1h x", "30s!", "1..5s", "٣s", "9" * 70 + "s", "1ms2s"]
)
def test_what_is_no_duration(text: str) -> None:
    assert seconds_of(text) is None


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59))
def test_parts_add_up(hours: int, minutes: int, seconds: int) -> None:
    assert seconds_of(f"{hours}h{minutes}m{seconds}s") == hours * 3600 + minutes * 60 + seconds


@given(st.text(max_size=80))
def test_any_text_has_an_answer(text: str) -> None:
    seconds = seconds_of(text)
    assert seconds is None or seconds >= 0
    size = bytes_of(text)
    assert size is None or size >= 0
    assert not (is_bare_number(text) and seconds is not None)


@pytest.mark.parametrize(("text", "bare"), [("300", True), ("-1", True), ("1.5", True), ("30s", False), ("", False)])
def test_bare_numbers(text: str, bare: bool) -> None:
    assert is_bare_number(text) is bare


def test_milliseconds_are_exact() -> None:
    assert in_seconds(300, Unit.MILLISECONDS) == 0.3
    assert in_seconds(2.5, Unit.SECONDS) == 2.5


@pytest.mark.parametrize(
    ("text", "size"),
    [("4096", 4096), ("1k", 1024), ("1KiB", 1024), ("2GB", 2 << 30), ("1.5G", 3 << 29), ("512MiB", 512 << 20)],
)
def test_sizes(text: str, size: int) -> None:
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1", "1X", "2 GB GB", "1e3"])
def test_what_is_no_size(text: str) -> None:
    assert bytes_of(text) is None
