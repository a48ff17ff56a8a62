"""The formats that need more than printing lines: JSON, CSV, Markdown and ctags."""

import csv
import io
import json

from stepwave.core.text import harmless
from stepwave.discovery.rows import Report, Row, complaints, one, totals


def as_text(report: Report, format: str) -> str:
    return {"json": _json, "jsonl": _jsonl, "csv": _csv, "markdown": _markdown, "ctags": _ctags}[format](report)


def _json(report: Report) -> str:
    document = {
        **report.head,
        f"{report.name}s": [row.fields for row in report.rows],
        "scanned": report.scanned,
        "errors": [unread._asdict() for unread in report.unread],
    }
    return json.dumps(document, indent=2) + "\n"


def _jsonl(report: Report) -> str:
    """A line for each finding; then one for the totals, which is told by its key `scanned`."""
    last = {"scanned": report.scanned, "errors": [unread._asdict() for unread in report.unread]}
    return "".join(f"{json.dumps(each)}\n" for each in [*(row.fields for row in report.rows), last])


def _csv(report: Report) -> str:
    target = io.StringIO()
    names = list(report.rows[0].fields) if report.rows else ["path", "line", "column", "kind"]
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(names)
    for row in report.rows:
        writer.writerow([_cell(row.fields[name]) for name in names])
    return target.getvalue().encode("utf-8", "backslashreplace").decode()


def _cell(value: object) -> object:
    if isinstance(value, bool) or value is None:
        return str(value).lower() if value is not None else ""
    return json.dumps(value) if isinstance(value, list | dict | tuple) else value


def _markdown(report: Report) -> str:
    lines = ["| Where | Kind | Text |", "| --- | --- | --- |"]
    lines += [f"| {_escaped(r.path)}:{r.line}:{r.column} | {r.kind} | {_code(r.text)} |" for r in report.rows]
    lines += ["", f"{totals(report)}."]
    lines += [f"- {_escaped(line)}" for line in complaints(report.unread)]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return harmless(text).replace("\\", "\\\\").replace("|", "\\|").replace("_", "\\_").replace("*", "\\*")


def _code(text: str) -> str:
    """A code span: with more backticks around it than stand in it."""
    flat = one(text).replace("|", "\\|")
    if not flat:
        return ""
    marks = "`"
    while marks in flat:
        marks += "`"
    return f"{marks} {flat} {marks}" if len(marks) > 1 else f"`{flat}`"


def _ctags(report: Report) -> str:
    """Extended format 2 (https://docs.ctags.io/en/latest/man/tags.5.html), sorted by bytes as readers expect."""
    lines = sorted(_tag(row) for row in report.rows if row.tag)
    head = ["!_TAG_FILE_FORMAT\t2\t/extended format/", "!_TAG_FILE_SORTED\t1\t/0=unsorted, 1=sorted, 2=foldcase/"]
    return "".join(f"{line}\n" for line in [*head, *lines])


_letters = {"class": "c", "function": "f", "nested": "f", "variable": "v"}


def _tag(row: Row) -> str:
    path = harmless(row.path).replace("\t", "\\t")
    return f'{row.tag}\t{path}\t{row.line};"\t{_letters.get(row.kind, "m")}\tline:{row.line}'
