"""One list of diagnostics, several printers: text for people, JSON for programs, annotations for GitHub.

Rule 1: text from a file is shown, never obeyed: it passes `harmless`, JSON's ASCII escapes or GitHub's own.
Rule 2: no printer fails and none is slow: a line of any length costs no more than what is shown of it.

SARIF has a module of its own, `sarif`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from unicodedata import category, east_asian_width

from stepwave.core.diagnostics import COMMAND_LINE, Diagnostic, Place, Severity, in_order
from stepwave.core.text import harmless, one_line, plural

Paint = Callable[[str, str], str]
"""`paint(text, role)` colours a piece; roles: error warning info place gutter caret help."""

EXCERPT_COLUMNS = 96
SHOWN = 200
"""So many findings are shown as text, errors before warnings; the others are counted."""
_MESSAGE_LIMIT = 1000
_TAB = "    "
_line_end = re.compile("\r\n|\n|\r")
_github_word = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def plain(text: str, role: str) -> str:
    """The paint that paints nothing."""
    del role
    return text


# --- text -----------------------------------------------------------------------------------------


def as_text(diagnostics: Sequence[Diagnostic], texts: Mapping[str, str], paint: Paint = plain) -> str:
    """Every finding with its place, an excerpt and one line of help, then how many there were.

    `texts` maps the path of a place to the text of that file; a missing one is named without an excerpt.
    Empty when there is nothing to say; no newline at the end.
    """
    found = in_order(diagnostics)
    if not found:
        return ""
    paths = {d.place.path for d in found}  # each text is split once, however much is wrong with it
    lines = {path: _lines(texts.get(path, "")) for path in paths}
    shown = found if len(found) <= SHOWN else in_order(sorted(found, key=_gravity)[:SHOWN])
    blocks = [_block(d, lines[d.place.path], paint) for d in shown]
    if len(shown) < len(found):
        blocks.append(f"… and {len(found) - len(shown):,} more (`stepwave validate --format json` has them all)")
    return "\n\n".join([*blocks, _totals(found)])


def _gravity(diagnostic: Diagnostic) -> int:
    return list(Severity).index(diagnostic.severity)


def _lines(text: str) -> list[str]:
    # Not splitlines(): it also breaks at \v, \f, U+0085 and U+2028, where editors and our parsers do not.
    return _line_end.split(text) if text else []


def _block(diagnostic: Diagnostic, lines: Sequence[str], paint: Paint) -> str:
    place = diagnostic.place
    margin = " " * len(str(place.line))
    role = diagnostic.severity.value
    message = one_line(diagnostic.message, _MESSAGE_LIMIT)
    rows = [
        f"{paint(f'{role}[{one_line(diagnostic.code)}]', role)}: {message}",
        f"{margin}{paint('-->', 'gutter')} {paint(_where(place, bool(lines)), 'place')}",
        *_excerpt(place, lines, margin, paint),
    ]
    if diagnostic.help:
        help = one_line(diagnostic.help, _MESSAGE_LIMIT)
        rows.append(f"{margin} {paint('=', 'gutter')} {paint('help', 'help')}: {help}")
    return "\n".join(rows)


def _where(place: Place, known: bool) -> str:
    path = _flat(place.path)
    # A file that could not be read has no first line to point at.
    return path if not known and place == Place(place.path) else f"{path}:{place.line}:{place.column}"


def _excerpt(place: Place, lines: Sequence[str], margin: str, paint: Paint) -> list[str]:
    if not 1 <= place.line <= len(lines):
        return []
    line = lines[place.line - 1]
    start = min(max(place.column - 1, 0), len(line))
    if place.end_line > place.line:
        end = start + len(line[start : start + EXCERPT_COLUMNS].rstrip())
    else:
        end = min(place.end_column - 1, len(line))
    shown, indent, carets = _mark(line, start, max(end, start))
    bar = paint("|", "gutter")
    return [
        f"{margin} {bar}",
        f"{paint(str(place.line), 'gutter')} {bar} {shown}".rstrip(),
        f"{margin} {bar} {' ' * indent}{paint('^' * carets, 'caret')}",
    ]


def _mark(line: str, start: int, end: int) -> tuple[str, int, int]:
    """What is shown of the line, the columns before the range, and the columns of the range."""
    # What is further away has no room: nearly all characters take a column, the others are not missed.
    near = max(0, start - EXCERPT_COLUMNS)
    cells = [_cell(char) for char in line[near : start + EXCERPT_COLUMNS]]
    widths = [columns(cell) for cell in cells]
    first, last = _window(widths, start - near, min(end - near, len(cells)))
    before = "…" if near + first > 0 else ""
    after = "…" if near + last < len(line) else ""
    indent = len(before) + sum(widths[first : start - near])
    marked = sum(widths[start - near : min(last, end - near)])
    return before + "".join(cells[first:last]) + after, indent, max(marked, 1)


def _window(widths: Sequence[int], start: int, end: int) -> tuple[int, int]:
    """First and last (exclusive) cell to show, so that the range is seen and around it what has room."""
    first, last = start, start
    room = EXCERPT_COLUMNS
    while last < end and widths[last] <= room:
        room -= widths[last]
        last += 1
    fair = room // 2
    for limit in (room - fair, 0):  # half of what is left goes to the left, all of the rest to the right …
        while first > 0 and room - widths[first - 1] >= limit:
            first -= 1
            room -= widths[first]
        while last < len(widths) and last >= end and widths[last] <= room:
            last += 1
            room -= widths[last - 1]
    return first, last  # … and what the right did not need, to the left again


def _cell(char: str) -> str:
    return _TAB if char == "\t" else harmless(char)


def columns(text: str) -> int:
    """How many columns of a terminal the text takes: CJK two, combining and invisible characters none."""
    if text.isascii():
        return len(text)
    return sum(_columns(char) for char in text)


def _columns(char: str) -> int:
    if category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if east_asian_width(char) in "WF" else 1


def _flat(text: str) -> str:
    """Harmless and on one line, every character kept: for paths, which people copy."""
    return harmless(text).replace("\n", "\\n").replace("\t", "\\t")


def _totals(diagnostics: Sequence[Diagnostic]) -> str:
    nouns = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
    counts = {severity: _count(diagnostics, severity) for severity in nouns}
    words = ", ".join(plural(n, nouns[severity]) for severity, n in counts.items() if n)
    paths = {d.place.path for d in diagnostics}
    if len(paths) > 1:
        return f"{words} in {len(paths)} places" if COMMAND_LINE in paths else f"{words} in {len(paths)} files"
    path = paths.pop()
    return f"{words} on the {path}" if path == COMMAND_LINE else f"{words} in {_flat(path)}"


def _count(diagnostics: Sequence[Diagnostic], severity: Severity) -> int:
    return sum(d.severity is severity for d in diagnostics)


# --- for programs -----------------------------------------------------------------------------------


def as_json(diagnostics: Sequence[Diagnostic]) -> str:
    """One document in ASCII: `{"diagnostics": […], "errors": n, "warnings": n}`; no newline at the end."""
    import json

    found = in_order(diagnostics)
    document = {
        "diagnostics": [_fields(d) for d in found],
        "errors": _count(found, Severity.ERROR),
        "warnings": _count(found, Severity.WARNING),
    }
    return json.dumps(document, indent=2)


def _fields(diagnostic: Diagnostic) -> dict[str, str | int | None]:
    place = diagnostic.place
    return {
        "severity": diagnostic.severity.value,
        "code": diagnostic.code,
        "message": diagnostic.message,
        "help": diagnostic.help,
        "path": place.path,
        "line": place.line,
        "column": place.column,
        "endLine": place.end_line,
        "endColumn": place.end_column,
    }


def as_github(diagnostics: Sequence[Diagnostic]) -> str:
    """One workflow command of GitHub Actions a line: `::error file=…,line=…,col=…,endColumn=…,title=…::…`."""
    return "\n".join(_command(d) for d in in_order(diagnostics))


def _command(diagnostic: Diagnostic) -> str:
    place = diagnostic.place
    properties: list[tuple[str, str | int]] = [
        ("file", place.path),
        ("line", place.line),
        ("col", place.column),
    ]
    # GitHub takes a column range only within one line.
    if place.end_line > place.line:
        properties.append(("endLine", place.end_line))
    elif place.end_column > place.column:
        properties.append(("endColumn", place.end_column))
    properties.append(("title", diagnostic.code))
    head = ",".join(f"{key}={_property(str(value))}" for key, value in properties)
    message = diagnostic.message if not diagnostic.help else f"{diagnostic.message}\nhelp: {diagnostic.help}"
    return f"::{_github_word[diagnostic.severity]} {head}::{_data(message)}"


def _data(text: str) -> str:
    return harmless(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
