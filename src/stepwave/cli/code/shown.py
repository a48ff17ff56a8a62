"""How the commands that read code print what they have found. An answer from the cache comes this way: it is lean."""

import os
import sys
from collections.abc import Iterable

from stepwave.discovery.rows import Report, as_text, complaints, totals

WHOLE = ("json", "jsonl", "sarif", "markdown")
"""Formats that say themselves what was scanned and what was not read."""

_colors = {"path": "\x1b[35m", "dim": "\x1b[2m", "kind": "\x1b[36m"}


def show(report: Report, format: str, color: str, more: str = "") -> int:
    """Print a report; 0 when it holds anything, else 1. 3, and a sentence, when it could not be printed."""
    format = format or ("table" if sys.stdout.isatty() else "vimgrep")
    if format == "sarif":
        from stepwave.cli.code.told import sarif

        text = sarif(report)
    else:
        colored = color == "always" or (color == "auto" and sys.stdout.isatty() and not os.environ.get("NO_COLOR"))
        text = as_text(report, format, _painted if colored and format == "table" else _plain)
    try:
        sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
        sys.stdout.flush()
    except OSError as problem:
        from stepwave.cli import terminal

        return terminal.gave_up(problem)
    if format not in WHOLE:
        _talk([*complaints(report.unread), totals(report), *([more] if more else [])])
    return 0 if report.rows else 1


def _talk(lines: Iterable[str]) -> None:
    """Sentences for the person, on stderr; nobody there is no reason to fail."""
    try:
        sys.stderr.write("".join(f"{line}\n" for line in lines))
        sys.stderr.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _painted(text: str, what: str) -> str:
    return f"{_colors[what]}{text}\x1b[0m"


def _plain(text: str, what: str) -> str:
    return text
