"""Findings as rows, and rows as text: the formats that every command of this wing shares.

Rows come in the order of path, line and column, and stay in it. What stands in a file is shown harmless wherever a
person may look at it; JSON and CSV carry it as it is.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from stepwave.core.text import harmless, plural
from stepwave.discovery.walk import Unread

FORMATS = ("table", "json", "jsonl", "csv", "vimgrep", "count", "files", "markdown", "sarif", "ctags")


class Row(NamedTuple):
    """A finding: where, of which kind, in a line of text; and all its fields, for programs.

    `tag` is the name that it defines, for ctags; empty where it defines nothing.
    """

    path: str
    line: int
    column: int
    end_column: int
    kind: str
    text: str
    fields: dict[str, object]
    tag: str = ""


class Report(NamedTuple):
    """What a command has found. `name` is what the findings are called, in the singular; `head` goes into JSON."""

    name: str
    rows: Sequence[Row]
    scanned: int
    unread: Sequence[Unread]
    head: dict[str, object]


Paint = Callable[[str, str], str]
"""Text and what it is (`path`, `dim`, `kind`), to text that may be coloured."""


def as_text(report: Report, format: str, paint: Paint) -> str:
    """A report in one of the FORMATS but SARIF, with a newline at the end if there is anything at all."""
    if format == "table":
        return _table(report, paint)
    if format in ("vimgrep", "count", "files"):
        return _lines(_plain[format](report.rows))
    from stepwave.discovery import rows_for_programs

    return rows_for_programs.as_text(report, format)


def is_for_programs(format: str) -> bool:
    """Whether a format prints the fields of a row; making them takes longer than most others take to print."""
    return format in ("json", "jsonl", "csv")


def totals(report: Report) -> str:
    """`12 uses in 3 of 1,790 files; 1 file was not read`: what every answer says, for stderr."""
    holding = len({row.path for row in report.rows})
    text = f"{plural(len(report.rows), report.name)} in {holding:,} of {plural(report.scanned, 'file')}"
    return f"{text}; {_left_out(report.unread)}" if report.unread else text


def complaints(unread: Sequence[Unread]) -> list[str]:
    """A line for each file that was not read or does not parse."""
    return [harmless(f"{u.path}:{u.line}:{u.column}: {u.reason}") for u in unread]


def _left_out(unread: Sequence[Unread]) -> str:
    return f"{len(unread):,} {'was' if len(unread) == 1 else 'were'} not read or did not parse"


def _table(report: Report, paint: Paint) -> str:
    """Under each file its findings."""
    lines: list[str] = []
    width = max((len(f"{row.line}:{row.column}") for row in report.rows), default=0)
    kinds = max((len(row.kind) for row in report.rows), default=0)
    before = None
    for row in report.rows:
        if row.path != before:
            lines += [""] * (before is not None) + [paint(harmless(row.path), "path")]
            before = row.path
        place = f"{row.line}:{row.column}".rjust(width)
        text = one(row.text)
        lines.append(f"  {paint(place, 'dim')}  {paint(row.kind.ljust(kinds), 'kind')}  {text}".rstrip())
    return _lines(lines)


def one(text: str) -> str:
    """On one line, harmless, and nothing left out."""
    return harmless(" ".join(text.splitlines()).replace("\t", " "))


def _vimgrep(rows: Sequence[Row]) -> list[str]:
    return [f"{harmless(row.path)}:{row.line}:{row.column}:{row.kind}: {one(row.text)}" for row in rows]


def _count(rows: Sequence[Row]) -> list[str]:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.path] = counts.get(row.path, 0) + 1
    return [f"{harmless(path)}:{count}" for path, count in counts.items()]


def _files(rows: Sequence[Row]) -> list[str]:
    return [harmless(path) for path in dict.fromkeys(row.path for row in rows)]


def _lines(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


_plain: dict[str, Callable[[Sequence[Row]], list[str]]] = {"vimgrep": _vimgrep, "count": _count, "files": _files}
