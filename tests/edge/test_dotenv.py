"""Files of environment variables, byte by byte."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwave.edge.dotenv import MAX_BLANKS, MAX_BYTES, MAX_FAULTS, parse_dotenv


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("A=1", {"A": "1"}),
        ("export A=1", {"A": "1"}),
        ("A = 1 ", {"A": "1"}),
        ("A=", {"A": ""}),
        ("A=1 # note", {"A": "1"}),
        ("A=1#no-note", {"A": "1#no-note"}),
        ("A='1 # 2'", {"A": "1 # 2"}),
        ('A="1\\n2"', {"A": "1\n2"}),
        ("A='1\\n2'", {"A": "1\\n2"}),
        ('A="1\n2"', {"A": "1\n2"}),
        ("A=${HOME} $HOME {{x}}", {"A": "${HOME} $HOME {{x}}"}),
        ('A="${HOME}"', {"A": "${HOME}"}),
        ("A=1\r\nB=2\rC=3\n", {"A": "1", "B": "2", "C": "3"}),
        ("\n\n# note\nA=1\nA=2", {"A": "2"}),
        ("", {}),
        ("\ufeffA=é", {"A": "é"}),
    ],
)
def test_what_a_file_says(line: str, values: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/nowhere")
    parsed = parse_dotenv(line.encode())
    assert (parsed.values, parsed.faults) == (values, ())


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("A=1\nB\nC=3", ((2, "the line has no `=`"),)),
        ("A=1\n\n=2\nC=3", ((3, "the line is no `NAME=value`"),)),
        ("A=1\nB='2\nC=3", ((2, "the line is no `NAME=value`"),)),
        ("A=1\nB='2' 3\nC=3", ((2, "the line is no `NAME=value`"),)),
        ("A=1\nB=2\0\nC=3", ((2, "the line holds a NUL character"),)),
    ],
)
def test_lines_that_cannot_be_read_are_told_and_the_others_read(text: str, faults: tuple[tuple[int, str], ...]) -> None:
    parsed = parse_dotenv(text.encode())
    assert parsed.faults == faults
    assert parsed.values == {"A": "1", "C": "3"}


def test_a_file_that_is_no_such_file_is_left_alone() -> None:
    assert parse_dotenv(b"A=1\nB=\xff\n") == ({}, ((2, "the line is no UTF-8 text"),))
    assert parse_dotenv(b"A=1\n" * MAX_BYTES) == ({}, ((1, "the file is larger than 256 KiB"),))
    blanks = b"A=1\nB=1" + b" " * (MAX_BLANKS + 1) + b"2\n"
    assert parse_dotenv(blanks) == ({}, ((2, "there are more than 256 blanks in a row"),))
    assert len(parse_dotenv(b"x\n" * 100).faults) == MAX_FAULTS


@pytest.mark.parametrize(
    "piece", ["A='", 'A="', "A=\\", "'", "=", "A=x" + " " * MAX_BLANKS + "y", "A=#" + " " * MAX_BLANKS, "A='\\"]
)
def test_a_hostile_file_is_read_in_time(piece: str) -> None:
    text = (piece + "\n") * (MAX_BYTES // (len(piece) + 1))
    parse_dotenv(text.encode())


@given(st.binary(max_size=60))
def test_any_bytes_have_an_answer(data: bytes) -> None:
    parsed = parse_dotenv(data)
    assert all(name and "\0" not in name + value for name, value in parsed.values.items())


def test_the_environment_of_this_process_stays_as_it_is() -> None:
    before = dict(os.environ)
    parse_dotenv(b"STEPWAVE_TEST_ONLY=1\n")
    assert dict(os.environ) == before
