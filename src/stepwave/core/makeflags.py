"""What GNU make says to the commands of a recipe in MAKEFLAGS, and how to say it to others.

The text is a first word of letters (`kn`: -k -n), which may be empty; options; and behind `--` the variables of the
command line. Of several options of one kind the last one counts.
"""

import re
from typing import NamedTuple

PIPE = "pipe"
FIFO = "fifo"
BOTH = "both"
STYLES = (BOTH, FIFO, PIPE)
"""How a job server is told to steps. BOTH: make, which reads no option behind `--`, finds the pipe; those that look at
every word, such as ninja, find the fifo. Both are the same one."""

_auth = ("--jobserver-auth=", "--jobserver-fds=")
_number_of_jobs = re.compile(r"(?:-j|--jobs=)([0-9]{1,6})").fullmatch
_own = re.compile(r"-j[0-9]*|--jobs(?:=.*)?|--jobserver-.*").fullmatch


class Flags(NamedTuple):
    """`fifo` and `pipe`: where the tokens are, one of them or none; `pipe` with a negative number means that make did
    not hand it down. `jobs`: N of -jN, None where it is not said. `only_asks`: make was told to show, to ask or to
    touch (-n, -q, -t), and no recipe is to do its work."""

    fifo: str | None = None
    pipe: tuple[int, int] | None = None
    jobs: int | None = None
    only_asks: bool = False


def read_flags(text: str) -> Flags:
    """What cannot be understood is not there."""
    letters, words = _parts(text)
    fifo, pipe = None, None
    for word in words:
        for beginning in _auth:
            if word.startswith(beginning):
                fifo, pipe = _place(word.removeprefix(beginning))
    options = words[: words.index("--")] if "--" in words else words
    jobs = [found[1] for option in options if (found := _number_of_jobs(option))]
    return Flags(fifo, pipe, int(jobs[-1]) or None if jobs else None, bool({*letters} & {*"nqt"}))


def say_flags(text: str, jobs: int, style: str, fifo: str, pipe: tuple[int, int]) -> str:
    """MAKEFLAGS for those who are to share `jobs` slots; what else `text`, the one of the caller, says is kept. `fifo`
    has no blank in it."""
    letters, words = _parts(text)
    end = words.index("--") if "--" in words else len(words)
    options = [word for word in words[:end] if not _own(word)]
    variables = [word for word in words[end + 1 :] if not word.startswith(_auth)]
    named, numbered = f"{_auth[0]}fifo:{fifo}", f"{_auth[0]}{pipe[0]},{pipe[1]}"
    options += [f"-j{jobs}", named if style == FIFO else numbered]
    if style == BOTH:
        variables.append(named)
    return " ".join([re.sub(r"j[0-9]*", "", letters), *options, *(["--", *variables] if variables else [])])


def _parts(text: str) -> tuple[str, list[str]]:
    """The letters of the first word, and all other words."""
    first, _, rest = text.partition(" ")
    if first.startswith("-") or "=" in first:
        first, rest = "", text
    words = rest.split()
    for n, word in enumerate(words[:-1]):
        if word in ("-j", "--jobs") and words[n + 1].isdecimal():  # as a person may write it
            words[n : n + 2] = [f"-j{words[n + 1]}", f"-j{words[n + 1]}"]
    return first, words


def _place(value: str) -> tuple[str | None, tuple[int, int] | None]:
    if value.startswith("fifo:"):
        return value.removeprefix("fifo:") or None, None
    numbers = re.fullmatch(r"(-?[0-9]{1,9}),(-?[0-9]{1,9})", value)
    return None, (int(numbers[1]), int(numbers[2])) if numbers else None
