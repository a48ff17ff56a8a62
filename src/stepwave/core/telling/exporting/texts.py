"""Foreign text in JSON, XML and CSV, so that neither the format nor a terminal nor a CI system obeys any of it.

A CI system reads what is printed line by line, and XML and JSON are printed, too: `::error::` at the beginning of a
line and `##[error]` anywhere in it are spelled in a way that means the same to the format and nothing to the system.
"""

import json
import re

from stepwave.core.telling.style import without_paint
from stepwave.core.text import harmless, one_line


def json_text(value: object) -> str:
    """On one line, in ASCII."""
    return json.dumps(value, separators=(",", ":")).replace("##", "\\u0023#")


_no_character = re.compile("[\ufffe\uffff]")  # harmless() has shown all else that XML 1.0 (2.2, Char) does not take
_line_command = re.compile(r"(?m)^(\s*):(?=:)")


def shown(text: str) -> str:
    """The text of a tool: without its colours, control characters shown; the lines stay."""
    return _no_character.sub("\ufffd", harmless(without_paint(text).replace("\r\n", "\n")))


def xml_text(text: str) -> str:
    """Between tags."""
    escaped = shown(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _line_command.sub(r"\1&#58;", escaped.replace("##", "&#35;#"))


def xml_attribute(text: str) -> str:
    """Between double quotes; a parser makes blanks of line ends and tabs that are not spelled like this."""
    return xml_text(text).replace('"', "&quot;").replace("\n", "&#10;").replace("\t", "&#9;")


_formula = ("=", "+", "-", "@")


def csv_cell(text: str, limit: int = 1000) -> str:
    """A cell of foreign text, as RFC 4180 quotes it. What a spreadsheet would take for a formula begins with `'`."""
    flat = one_line(text, limit)
    if flat.startswith(_formula):
        flat = f"'{flat}"
    return '"' + flat.replace('"', '""') + '"' if re.search('[",]', flat) else flat
