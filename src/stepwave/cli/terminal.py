"""The two streams: results on stdout, talk on stderr; what each can show, and a reader that went away."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from shutil import get_terminal_size
from stat import S_IMODE

from stepwave.core.diagnostics import Diagnostic
from stepwave.core.telling.style import Role, Style, can_show_unicode, make_style, wants_color

_roles = {
    "error": Role.FAIL,
    "warning": Role.WARN,
    "info": Role.ACCENT,
    "caret": Role.FAIL,
    "help": Role.ACCENT,
    "gutter": Role.DIM,
}


def talk_style(color: str) -> Style:
    """How things look on stderr. `color`: auto, always or never."""
    colored = wants_color(color, os.environ, sys.stderr.isatty())
    return make_style(color=colored, unicode=can_show_unicode(sys.stderr.encoding, os.environ))


def is_terminal() -> bool:
    """Whether stderr can hold a live board."""
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def width() -> int:
    """Columns of the terminal; 100 where there is none."""
    return get_terminal_size((100, 24)).columns


def write(text: str | bytes, output: str | None = None) -> int:
    """A result, to stdout or to a file. Returns the exit code: 0, or 3 and a sentence if it could not be written."""
    if output is not None and output != "-":
        return save(output, text)
    try:
        sys.stdout.buffer.write(_bytes_of(text))
        sys.stdout.flush()
    except BrokenPipeError:
        _let_go(1)
    except OSError as error:
        _let_go(1)
        return _cannot_write("standard output", error)
    return 0


def gave_up(problem: OSError) -> int:
    """Writing to stdout has failed: 0 when its reader went away, else 3 and a sentence."""
    _let_go(1)
    return 0 if isinstance(problem, BrokenPipeError) else _cannot_write("standard output", problem)


def _bytes_of(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "backslashreplace")


def save(path: str, text: str | bytes) -> int:
    """Replace a file in one step: a reader sees the old or the new one, a full disk leaves the old one.

    What a link leads to is replaced, not the link; a file that was there keeps its mode.
    """
    try:
        target = Path(os.path.realpath(path))
        if target.exists() and not target.is_file():  # /dev/stdout, a FIFO
            target.write_bytes(_bytes_of(text))
            return 0
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            part.write_bytes(_bytes_of(text))
            if target.exists():
                part.chmod(S_IMODE(target.stat().st_mode))
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        return _cannot_write(path, error)
    return 0


def can_write(path: str) -> str | None:
    """Why a file could not be written, as the end of a sentence, or None."""
    target = Path(path)
    if target.is_dir():
        return f"`{path}` is a folder"
    if target.exists():
        return None if os.access(target, os.W_OK) else f"`{path}` may not be written"
    if not target.parent.is_dir():
        return f"the folder of `{path}` does not exist"
    return None if os.access(target.parent, os.W_OK) else f"the folder of `{path}` may not be written"


def talk(lines: Iterable[str]) -> None:
    """Sentences for the person, on stderr; nobody there is no reason to fail."""
    try:
        for line in lines:
            sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        _let_go(2)


def tell_findings(findings: Sequence[Diagnostic], texts: Mapping[str, str], color: str) -> None:
    """Diagnostics as text on stderr."""
    if findings:
        talk([findings_text(findings, texts, talk_style(color))])


def findings_text(findings: Sequence[Diagnostic], texts: Mapping[str, str], style: Style) -> str:
    from stepwave.core.telling.printers import as_text

    text = as_text(findings, texts, lambda part, role: style.paint(part, _roles.get(role)))
    return style.spell(text).rstrip("\n")


def _cannot_write(what: str, error: OSError) -> int:
    talk([f"stepwave: {what} could not be written: {(error.strerror or str(error)).lower()}"])
    return 3


def _let_go(fd: int) -> None:
    """Nobody reads any more: the flush at exit goes to /dev/null instead of failing again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), fd)
