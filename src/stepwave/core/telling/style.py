"""How things look: marks and their ASCII stand-ins, colours, and text measured in terminal cells.

Everything is decided from given values, so that a report looks the same wherever it is made. Foreign text
gets on a screen through `Style.word` and `Style.quote` only: they make it harmless, and spell it in ASCII
where nothing else can be shown.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import NamedTuple

from stepwave.core.text import harmless, no_command, one_line


class Role(Enum):
    """What a piece of text is for; the value is its SGR parameter."""

    OK = "32"
    FAIL = "31"
    WARN = "33"
    ACCENT = "36"
    STRONG = "1"
    DIM = "2"


class Style(NamedTuple):
    """The marks to use, and whether to colour. Made by `make_style`."""

    color: bool
    unicode: bool
    ok: str
    fail: str
    warn: str
    skip: str
    arrow: str
    spin: str
    retry: str
    undo: str
    dot: str
    ellipsis: str
    rule: str
    gutter: str
    bar_full: str
    bar_empty: str

    def paint(self, text: str, role: Role | None) -> str:
        """The text in the role's colour, or as it is."""
        return f"\x1b[{role.value}m{text}\x1b[0m" if self.color and role and text else text

    def spell(self, text: str) -> str:
        """The text in characters that can be shown and encoded; lone surrogates never can."""
        if self.unicode:
            return text.encode("utf-8", "backslashreplace").decode("utf-8")
        return text.replace("…", self.ellipsis).encode("ascii", "backslashreplace").decode("ascii")

    def word(self, text: str, limit: int = 200) -> str:
        """Foreign text for one line: harmless, spelled, at most `limit` cells wide."""
        # Cut before anything is looked at twice: a name may be megabytes long.
        return self.crop(self.spell(one_line(text[: 4 * limit + 16], 4 * limit)), limit)

    def quote(self, line: str, limit: int = 500) -> str:
        """A line of a tool's output: indentation kept, colours dropped, of a progress bar the last state."""
        state = without_paint(line[: 8 * limit].rstrip("\r\n")).rpartition("\r")[2]
        flat = no_command(harmless(state.expandtabs(8).replace("\n", " ")))
        return self.crop(self.spell(flat), limit)

    def crop(self, text: str, width: int) -> str:
        """The text cut to `width` cells, with an ellipsis where something was cut off."""
        if cells(text) <= width:
            return text
        room = max(width, 0) - cells(self.ellipsis)
        return _head(text, room) + self.ellipsis if room > 0 else _head(text, max(width, 0))


_PRETTY = Style(
    color=False,
    unicode=True,
    ok="✓",
    fail="✗",
    warn="!",
    skip="-",
    arrow="→",
    spin="⟳",
    retry="↻",
    undo="↩",
    dot="·",
    ellipsis="…",
    rule="─",
    gutter="│",
    bar_full="━",
    bar_empty="─",
)
_PLAIN = Style(
    color=False,
    unicode=False,
    ok="OK",
    fail="FAIL",
    warn="!",
    skip="-",
    arrow="->",
    spin="*",
    retry="~",
    undo="<",
    dot="|",
    ellipsis="...",
    rule="-",
    gutter="|",
    bar_full="#",
    bar_empty=".",
)


def make_style(*, color: bool, unicode: bool) -> Style:
    """The style for an output that can (or cannot) show colours and characters beyond ASCII."""
    return (_PRETTY if unicode else _PLAIN)._replace(color=color)


def wants_color(choice: str, environ: Mapping[str, str], isatty: bool) -> bool:
    """Whether to colour. `choice` is `auto`, `always` or `never`; auto asks the environment, then `isatty`.

    NO_COLOR (not empty) beats FORCE_COLOR and CLICOLOR_FORCE (not empty, not 0), which beat TERM=dumb
    and CLICOLOR=0.
    """
    if choice != "auto":
        return choice == "always"
    if environ.get("NO_COLOR"):
        return False
    forced = environ.get("FORCE_COLOR")
    if forced:
        return forced not in ("0", "false")
    if environ.get("CLICOLOR_FORCE", "0") not in ("", "0"):
        return True
    return isatty and environ.get("TERM") != "dumb" and environ.get("CLICOLOR") != "0"


def can_show_unicode(encoding: str | None, environ: Mapping[str, str] | None = None) -> bool:
    """Whether an output of this encoding can take every mark of the pretty style.

    With the environment given, a locale that is plainly C or POSIX says no as well: Python gives such
    a process UTF-8 streams (PEP 538, PEP 540), whatever the terminal can do.
    """
    try:
        "✓✗→⟳↻↩·…─│━".encode(encoding or "ascii")
    except (LookupError, UnicodeError):
        return False
    return not _locale_is_ascii(environ or {})


def _locale_is_ascii(environ: Mapping[str, str]) -> bool:
    if environ.get("PYTHONUTF8") == "1" or environ.get("PYTHONIOENCODING"):
        return False  # somebody asked for this very encoding
    bare = ("C", "POSIX")
    if everything := environ.get("LC_ALL"):
        return everything in bare
    kind = environ.get("LC_CTYPE", "")
    # Python itself writes LC_CTYPE=C.UTF-8 into its environment when it finds LANG=C: look behind it.
    if kind and kind not in ("C.UTF-8", "C.utf8", "UTF-8"):
        return kind in bare
    return environ.get("LANG") in bare


Span = tuple[str, Role | None]
"""A piece of a line and what it is for."""


# --- text in cells -----------------------------------------------------------------------------


def cells(text: str) -> int:
    """How many columns of a terminal the text takes: wide characters two, combining ones none."""
    return len(text) if text.isascii() else sum(map(_cell, text))


def _cell(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _head(text: str, width: int) -> str:
    used = 0
    for index, char in enumerate(text):
        used += _cell(char)
        if used > width:
            return text[:index]
    return text


def pad(text: str, width: int) -> str:
    """Filled up with spaces on the right to `width` cells."""
    return text + " " * (width - cells(text))


def pad_left(text: str, width: int) -> str:
    """Filled up with spaces on the left to `width` cells."""
    return " " * (width - cells(text)) + text


def fit(spans: Iterable[Span], width: int, style: Style) -> list[Span]:
    """The pieces of one line, cut so that together they take at most `width` cells."""
    left = width
    kept: list[Span] = []
    for text, role in spans:
        size = cells(text)
        if size > left:
            kept.append((style.crop(text, left), role))
            break
        kept.append((text, role))
        left -= size
    return kept


def line_of(spans: Iterable[Span], width: int, style: Style) -> str:
    """The pieces as one painted line of at most `width` cells, without blanks at its end."""
    kept = fit(spans, width, style)
    while kept and not kept[-1][0].strip():
        kept.pop()
    if kept:
        kept[-1] = (kept[-1][0].rstrip(), kept[-1][1])
    return "".join(style.paint(text, role) for text, role in kept)


_painting = re.compile(r"\x1b\[[0-9;:]*[mK]")


def without_paint(text: str) -> str:
    """A tool's output without its colours (SGR and erase-line sequences), which say nothing in a quotation.

    Every other escape sequence stays, to be shown by `harmless`.
    """
    return _painting.sub("", text)


def last_line(output: bytes) -> str:
    """The last line of a log's end that says something; of a progress bar (`\\r`) its last state."""
    text = without_paint(output.decode("utf-8", "replace")).lstrip("\ufffd")
    return next((line for line in reversed(text.splitlines()) if line.strip()), "")
