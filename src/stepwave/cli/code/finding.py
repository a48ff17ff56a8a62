"""`find-symbol`, and the short way in to it as it is usually typed: an answer from the cache imports neither typer nor
anything that reads code. Typer stays the arbiter of what the words mean, as for `run`."""

import os
import sys
from typing import NamedTuple

from stepwave.cli.code.shown import show
from stepwave.discovery.answers import Query, Usage, Use
from stepwave.discovery.cache import Cache, young_of
from stepwave.discovery.rows import FORMATS, Report, Row, is_for_programs
from stepwave.discovery.walk import Walked, walk

TYPES = ("any", "function", "class", "variable", "module")


class Asked(NamedTuple):
    """The command line. An empty `format` is a table on a terminal and vimgrep lines elsewhere."""

    symbol: str
    root: str = "."
    format: str = ""
    type: str = "any"
    possible: bool = False
    text: bool = False
    fuzzy: bool = False
    refs: bool | None = None
    ignore: bool = True
    cache: bool = True
    processes: int = 0
    color: str = "auto"


def read(words: list[str]) -> Asked | None:
    """The command line `find-symbol …`; None when typer had better look at it."""
    given: dict[str, object] = {}
    plain: list[str] = []
    rest = iter(words[1:])
    for word in rest:
        if not word.startswith("-"):
            plain.append(word)
        elif word in _flags and _flags[word][0] not in given:
            name, value = _flags[word]
            given[name] = value
        elif word in _valued and _valued[word] not in given:
            given[_valued[word]] = next(rest, "")
        else:
            return None
    usual = given.get("format", "table") in FORMATS and given.get("type", "any") in TYPES
    if not usual or len(plain) not in (1, 2) or not all(plain):
        return None
    return Asked(*plain, **given)  # type: ignore[arg-type]


_flags: dict[str, tuple[str, object]] = {
    "--json": ("format", "json"),
    "--possible": ("possible", True),
    "--text": ("text", True),
    "--refs": ("refs", True),
    "--no-refs": ("refs", False),
    "--no-ignore": ("ignore", False),
    "--no-cache": ("cache", False),
}
_valued = {"--format": "format", "-f": "format", "--type": "type"}


def run(asked: Asked) -> int:
    """Answer, and return the exit code: 0 found, 1 nothing found, 2 an error."""
    if asked.fuzzy:
        from stepwave.cli.code import listed

        return listed.fuzzy(asked)
    if not asked.symbol.replace(".", "_").isidentifier():
        from stepwave.cli.code import told

        return told.not_a_symbol(asked.symbol)
    refs = asked.refs if asked.refs is not None else True
    query = Query(asked.symbol, asked.type, asked.possible, asked.text, refs, asked.ignore)
    try:
        walked = walk(asked.root, ignore=asked.ignore)
    except OSError as problem:
        from stepwave.cli.code import told

        return told.cannot_read(asked.root, problem)
    usage = _answer(asked, query, walked)
    if not usage.uses:
        from stepwave.cli.code import told

        return told.nothing(asked, usage, walked)
    return show(report_of(asked, usage), asked.format, asked.color, more=_more(asked, usage))


def _answer(asked: Asked, query: Query, walked: Walked) -> Usage:
    """From the cache when nothing has changed, else by looking."""
    from stepwave.discovery import kept

    cache = Cache(asked.root) if asked.cache else None
    question = _question(asked, query)
    raw = cache.answer(question, walked, asked.root) if cache else None
    if raw is not None:
        return kept.unpacked(raw)
    from stepwave import __version__
    from stepwave.cli.code import told
    from stepwave.discovery.facts import Facts
    from stepwave.discovery.usage import usage_of

    young = young_of(asked.root, walked.files) if cache else b""
    facts = Facts(asked.root, walked, cache, young, __version__)
    with told.progress("reading") as progress:
        usage = usage_of(asked.root, query, processes=cores(asked.processes), facts=facts, progress=progress)
    if cache:
        cache.keep_answer(question, walked, young, kept.packed(usage))
        cache.close()
    return usage


def _question(asked: Asked, query: Query) -> str:
    """All that the answer hangs on but the tree itself."""
    from stepwave import __version__

    above = ""
    if os.path.isfile(f"{asked.root}/__init__.py"):  # noqa: PTH113
        from stepwave.discovery.modules import packages_above

        above = ".".join(packages_above(asked.root))
    return "\0".join(["find-symbol", __version__, sys.version, above, *map(str, query)])


def cores(asked: int) -> int:
    """How many processes read: two where there are two processors and nobody says otherwise."""
    if asked:
        return asked
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 2)


def report_of(asked: Asked, usage: Usage) -> Report:
    prefix = "" if asked.root in (".", "./") else f"{asked.root.rstrip('/')}/"
    head: dict[str, object] = {
        "symbol": asked.symbol,
        "root": asked.root,
        "targets": [{**t._asdict(), "path": f"{prefix}{t.path}" if t.path else None} for t in usage.targets],
        "possible": usage.possible,
    }
    unread = [u._replace(path=f"{prefix}{u.path}") for u in usage.unread]
    full = is_for_programs(asked.format)
    return Report("use", [_row(use, prefix, full) for use in usage.uses], usage.scanned, unread, head)


def _row(use: Use, prefix: str, full: bool) -> Row:
    """A use as a row; without the fields that only programs read, where nobody asks for them."""
    path, line, column, end_column, kind, symbol, certain, text = use
    path = prefix + path
    shown = kind if certain or kind in ("string", "comment") else f"{kind}?"
    fields: dict[str, object] = {}
    if full:
        fields = {
            "path": path, "line": line, "column": column, "end_column": end_column, "kind": kind, "symbol": symbol,
            "certain": certain, "text": text,
        }  # fmt: skip
    tag = symbol.rpartition(".")[2] if kind == "definition" else ""
    return Row(path, line, column, end_column, shown, text, fields, tag)


def _more(asked: Asked, usage: Usage) -> str:
    if usage.possible and not asked.possible:
        are = "is" if usage.possible == 1 else "are"
        return f"{usage.possible:,} more {are} possible, of objects whose type nobody knows: --possible"
    return ""
