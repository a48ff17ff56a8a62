"""What is wrong with a file, as a value: a code, a place, a sentence and one line of help.

A diagnostic is never raised. Whoever finds one adds it to a list and goes on, so that all of them are
told at once; `stepwave.core.telling.printers` turns the list into text, JSON, GitHub annotations or SARIF.
"""

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

COMMAND_LINE = "command line"
"""The path of a place that is in no file."""


class Severity(Enum):
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Place(NamedTuple):
    """A range of text in a file. Lines and columns count from 1, columns in characters.

    `end_column` is the column after the last character. A whole file is line 1, column 1, of no length.
    """

    path: str
    line: int = 1
    column: int = 1
    end_line: int = 1
    end_column: int = 1


class Diagnostic(NamedTuple):
    """One finding.

    `code` is kebab-case and stable; `message` one lower-case sentence without a full stop; `help` what to do about it.
    """

    severity: Severity
    code: str
    message: str
    place: Place
    help: str | None = None


def error(code: str, message: str, place: Place, help: str | None = None) -> Diagnostic:
    return Diagnostic(Severity.ERROR, code, message, place, help)


def warning(code: str, message: str, place: Place, help: str | None = None) -> Diagnostic:
    return Diagnostic(Severity.WARNING, code, message, place, help)


def info(code: str, message: str, place: Place, help: str | None = None) -> Diagnostic:
    return Diagnostic(Severity.INFO, code, message, place, help)


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    return any(d.severity is Severity.ERROR for d in diagnostics)


def in_order(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Sorted by place, each finding once."""
    return sorted(dict.fromkeys(diagnostics), key=lambda d: (d.place, d.severity.value, d.code, d.message))


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that a person most likely meant by `word`, or None when none is near."""
    from difflib import get_close_matches

    pool = {c.lower().replace("_", ""): c for c in candidates if len(c) <= 200}
    found = get_close_matches(word.lower().replace("_", "")[:200], pool, n=1, cutoff=0.7)
    return pool[found[0]] if found else None


def did_you_mean(word: str, candidates: Iterable[str]) -> str | None:
    """A help line `did you mean \\`x\\`?`, or None."""
    near = nearest(word, candidates)
    return f"did you mean `{near}`?" if near else None
