"""Files of environment variables, as python-dotenv reads them: `NAME=value`, `export`, quotes, comments.

Rule 1  A value is what is written: `${OTHER}` in it is text, and nothing of this process's environment goes in.
Rule 2  A line that cannot be read is told, with its number; python-dotenv by itself would leave it out.
Rule 3  Time grows with the file: python-dotenv looks for comments in a way that takes the square of a run of blanks,
        so a longer run than anybody writes is refused.
"""

import re
from io import StringIO
from typing import NamedTuple

MAX_BYTES = 256 * 1024
MAX_BLANKS = 256
MAX_FAULTS = 20

_many_blanks = re.compile(rf"\s{{{MAX_BLANKS + 1}}}")


class Parsed(NamedTuple):
    """`faults` are the lines that cannot be read, with what is wrong, the first 20."""

    values: dict[str, str]
    faults: tuple[tuple[int, str], ...] = ()


def parse_dotenv(data: bytes) -> Parsed:
    """The variables of a file, in its order, the last of equal names. Raises nothing for what the file says."""
    if len(data) > MAX_BYTES:
        return Parsed({}, ((1, f"the file is larger than {MAX_BYTES // 1024} KiB"),))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        return Parsed({}, ((data.count(b"\n", 0, problem.start) + 1, "the line is no UTF-8 text"),))
    if too_long := _many_blanks.search(text):
        line = text.count("\n", 0, too_long.start()) + 1
        return Parsed({}, ((line, f"there are more than {MAX_BLANKS} blanks in a row"),))
    return _parsed(text)


def _parsed(text: str) -> Parsed:
    from dotenv.parser import parse_stream

    values: dict[str, str] = {}
    faults: list[tuple[int, str]] = []
    for binding in parse_stream(StringIO(text, newline="")):
        written = binding.original.string
        line = binding.original.line + len(re.findall(r"\r\n|\n|\r", written[: len(written) - len(written.lstrip())]))
        problem = _problem(binding.key, binding.value, binding.error)
        if problem:
            faults.append((line, problem))
        elif binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
    return Parsed(values, tuple(faults[:MAX_FAULTS]))


def _problem(key: str | None, value: str | None, bad: bool) -> str | None:
    if bad:
        return "the line is no `NAME=value`"
    if key is None:  # a comment, or an empty line
        return None
    if value is None:
        return "the line has no `=`"
    return "the line holds a NUL character" if "\0" in key + value else None
