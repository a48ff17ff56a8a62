"""From what a step says to what is executed: words without a shell, or a script and the shell that reads it.

Rule 1  A reference (`{{…}}`) is never split, quoted or read as shell syntax: it stays in one piece. Where the
        references of a text stand is told by `spans`, start and end of each.
Rule 2  What has arguments needs no shell, so it gets none unless the file asks for one.
"""

import re
import shlex
from collections.abc import Iterator, Sequence

SH = ("/bin/sh", "-c")
SH_STRICT = ("/bin/sh", "-e", "-c")

Spans = Sequence[tuple[int, int]]

_strict_shells = {"bash": ("-eo", "pipefail", "-c"), **dict.fromkeys(("sh", "dash", "zsh", "ksh"), ("-e", "-c"))}
_inert = re.compile(r"""'[^']*'|\\[^\n]|"(?:[^"$`\\]|\\.)*\"""", re.DOTALL)
_syntax = re.compile(r"[|&;<>$`*?()\n]|(?<!\S)[~#]")
_assignment = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")


def shell_for(name: str) -> tuple[tuple[str, ...], bool]:
    """The command of a named shell, and whether its quoting is known, so that references in its text are safe.

    Raises ValueError when the name is no command at all.
    """
    words = shlex.split(name)
    if not words:
        raise ValueError("no name")
    flags = _strict_shells.get(words[0].rpartition("/")[2])
    return ((*words, *flags), True) if flags else ((*words, "-c"), False)


def shell_syntax(text: str, spans: Spans) -> str | None:
    """The first piece of shell syntax that stands outside quotes and references, or None."""
    masked, _ = _mask(text, spans)
    found = _assignment.match(masked) or _syntax.search(_inert.sub("-", masked))
    return ("a new line" if found[0] == "\n" else found[0]) if found else None


def split(text: str, spans: Spans) -> tuple[str, ...]:
    """The words of a command line, as a POSIX shell would cut it, with every reference left whole.

    Raises ValueError when a quote is not closed.
    """
    if not spans and not _special.search(text):
        return tuple(text.split(" "))  # most commands; shlex looks at every character
    masked, pieces = _mask(text, spans)
    left = iter(pieces)
    return tuple(_unmask(word, left) for word in shlex.split(masked))


_special = re.compile(r"[^\w./:=@%+, -]|^ |  | \Z")


def shell_word(arg: str, spans: Spans) -> str:
    """An argument as one word of shell text: all but the references is quoted."""
    parts, end = [], 0
    for start, stop in spans:
        if start > end:
            parts.append(shlex.quote(arg[end:start]))
        parts.append(arg[start:stop])
        end = stop
    if end < len(arg) or not arg:
        parts.append(shlex.quote(arg[end:]))
    return "".join(parts)


# References are replaced by a character that no command can hold, so that a shell's rules pass them by.
_mark = "\0"


def _mask(text: str, spans: Spans) -> tuple[str, list[str]]:
    masked, pieces, end = [], [], 0
    for start, stop in spans:
        masked.append(text[end:start] + _mark)
        pieces.append(text[start:stop])
        end = stop
    return "".join(masked) + text[end:], pieces


def _unmask(word: str, pieces: Iterator[str]) -> str:
    """Takes the pieces one after the other: words are asked for in order."""
    first, *rest = word.split(_mark)
    return first + "".join(next(pieces) + part for part in rest)
