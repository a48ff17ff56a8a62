"""What the commands that read code say when they have found nothing or could not look, and what takes long to say."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stepwave.cli import terminal
from stepwave.cli.code.shown import WHOLE, show
from stepwave.core.diagnostics import COMMAND_LINE, Diagnostic, Place, error
from stepwave.core.text import harmless
from stepwave.discovery.rows import Report, complaints, totals

if TYPE_CHECKING:
    from stepwave.cli.code.finding import Asked
    from stepwave.discovery.answers import Usage
    from stepwave.discovery.walk import Walked


def nothing(asked: "Asked", usage: "Usage", walked: "Walked") -> int:
    """Nothing goes by that name: say what does by one that is near."""
    from stepwave.cli.code.finding import report_of
    from stepwave.discovery.near import near_names

    near = near_names(asked.root, walked, asked.symbol.rpartition(".")[2])
    report = report_of(asked, usage)
    report.head["did_you_mean"] = near
    if asked.format in WHOLE:
        return show(report, asked.format, asked.color)
    kind = f" of type {asked.type}" if asked.type != "any" else ""
    lines = [f"stepwave: nothing{kind} is called `{asked.symbol}` in {totals(report).partition(' of ')[2]}"]
    if near:
        lines.append(f"  = help: did you mean {' or '.join(f'`{name}`' for name in near)}?")
    if usage.possible:
        lines.append(f"  = help: {usage.possible:,} attributes have that name: --possible shows them")
    terminal.talk([*complaints(report.unread), *lines])
    return 1


def not_a_symbol(symbol: str) -> int:
    help = "a name such as `run`, or a dotted one such as `package.module.Class.method`"
    return fail(error("not-a-symbol", f"`{symbol}` is no name of Python", Place(COMMAND_LINE), help))


def cannot_read(path: str, problem: OSError) -> int:
    reason = (problem.strerror or str(problem)).lower()
    return fail(error("cannot-read", f"`{path}`: {reason}", Place(COMMAND_LINE)))


def fail(finding: Diagnostic) -> int:
    terminal.tell_findings([finding], {}, "auto")
    return 2


def shown(text: str) -> str:
    """Foreign text, harmless."""
    return harmless(text)


@contextmanager
def progress(verb: str) -> Iterator[Callable[[int, int], None] | None]:
    """A line on a terminal that says how far one is, from half a second on; nothing elsewhere."""
    if not terminal.is_terminal():
        yield None
        return
    from time import monotonic

    began = shown = monotonic()

    def tell(done: int, count: int) -> None:
        nonlocal shown
        now = monotonic()
        if now - began > 0.5 and now - shown > 0.1:
            shown = now
            sys.stderr.write(f"\r{verb} {done:,} of {count:,} files\x1b[K")
            sys.stderr.flush()

    try:
        yield tell
    finally:
        if shown != began:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def sarif(report: Report) -> str:
    """The findings as notes, what was not read as warnings."""
    from stepwave import __version__
    from stepwave.core.diagnostics import Severity
    from stepwave.core.telling.sarif import as_sarif

    found: Sequence[Diagnostic] = [
        Diagnostic(
            Severity.INFO,
            row.kind.rstrip("?").replace("_", "-"),
            row.text or row.kind,
            Place(row.path, row.line, row.column, row.line, row.end_column),
        )
        for row in report.rows
    ]
    unread = [
        Diagnostic(Severity.WARNING, "not-read", u.reason, Place(u.path, u.line, u.column, u.line, u.column))
        for u in report.unread
    ]
    return as_sarif([*found, *unread], __version__) + "\n"


__all__ = ["cannot_read", "fail", "not_a_symbol", "nothing", "progress", "sarif", "show", "shown"]
