"""What `discover functions|configs|workflows`, `find-symbol --fuzzy` and `cache` do."""

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from stepwave.cli import terminal
from stepwave.cli.code import told
from stepwave.cli.code.finding import Asked, cores
from stepwave.cli.code.shown import show
from stepwave.core.diagnostics import COMMAND_LINE, Diagnostic, Place, error
from stepwave.core.text import plural, size_of
from stepwave.discovery.definitions import Definition
from stepwave.discovery.rows import Report, Row, is_for_programs

if TYPE_CHECKING:
    from stepwave.discovery.configs import ConfigInfo
    from stepwave.discovery.listing import Wanted


def functions(
    paths: Sequence[str], wanted: "Wanted", *, format: str, ignore: bool, cached: bool, processes: int, color: str
) -> int:
    """`discover functions`."""
    from stepwave.discovery.listing import list_definitions

    try:
        with told.progress("reading") as progress:
            listing = list_definitions(
                paths, wanted, ignore=ignore, cached=cached, processes=cores(processes), progress=progress
            )
    except OSError as problem:
        return told.cannot_read(problem.filename or paths[0], problem)
    except re.error as problem:
        return told.fail(_bad_pattern(wanted.pattern, problem))
    if len(paths) == 1 and listing.scanned == 1 and listing.unread and paths[0] == listing.unread[0].path:
        bad = listing.unread[0]
        place = Place(bad.path, bad.line, bad.column, bad.line, bad.column)
        return told.fail(error("not-python", bad.reason, place, "give a file that Python can read"))
    rows = [definition_row(definition, is_for_programs(format)) for definition in listing.definitions]
    return show(Report("definition", rows, listing.scanned, listing.unread, {"paths": list(paths)}), format, color)


def _bad_pattern(pattern: str, problem: re.error) -> Diagnostic:
    place = Place(COMMAND_LINE)
    return error("bad-pattern", f"`{pattern}` is no regular expression: {problem}", place, "see the help of `re`")


def definition_row(definition: Definition, full: bool, score: float | None = None) -> Row:
    """A definition as a row, `full` with all that only programs read; and with how near its name is, if asked."""
    d = definition
    text = f"{'async ' if d.is_async else ''}{d.qualname}{d.signature}"
    fields = _fields(d) if full else {}
    if score is not None:
        fields["score"] = round(score, 3)
    return Row(d.path, d.line, d.column, d.column, d.kind, text, fields, d.name)


def _fields(d: Definition) -> dict[str, object]:
    doc = d.docstring.strip().partition("\n")[0].strip()
    return {
        "path": d.path, "line": d.line, "column": d.column, "end_line": d.end_line, "name": d.name,
        "qualname": d.qualname, "module": d.module, "kind": d.kind, "is_async": d.is_async,
        "is_generator": d.is_generator, "is_public": d.is_public, "private": d.private or None,
        "signature": d.signature, "parameters": [parameter._asdict() for parameter in d.parameters],
        "returns": d.returns or None, "decorators": list(d.decorators), "doc": doc or None,
        "complexity": d.complexity, "bases": list(d.bases), "hash": d.hash,
    }  # fmt: skip


def fuzzy(asked: Asked) -> int:
    """`find-symbol --fuzzy`: the definitions whose names are near; with --refs the uses of each as well."""
    from stepwave.discovery.listing import near_definitions

    kinds = {
        "function": {"function", "method", "classmethod", "staticmethod", "property", "nested"},
        "class": {"class"},
    }
    root = asked.root
    try:
        near, listing = near_definitions(
            root, asked.symbol, 0.6, ignore=asked.ignore, cached=asked.cache, processes=cores(asked.processes)
        )
    except OSError as problem:
        return told.cannot_read(root, problem)
    chosen = [(d, score) for d, score in near if d.kind in kinds.get(asked.type, {d.kind})]
    head: dict[str, object] = {"symbol": asked.symbol, "root": root}
    if asked.refs:
        names = list(dict.fromkeys(d.name for d, _ in chosen))
        return show(
            Report("use", _uses(asked, names), listing.scanned, listing.unread, head), asked.format, asked.color
        )
    rows = [definition_row(d, is_for_programs(asked.format), score) for d, score in chosen]
    return show(Report("definition", rows, listing.scanned, listing.unread, head), asked.format, asked.color)


def _uses(asked: Asked, names: Sequence[str]) -> list[Row]:
    from stepwave.cli.code.finding import report_of
    from stepwave.discovery.answers import Query
    from stepwave.discovery.usage import usage_of

    rows: list[Row] = []
    for name in names:
        query = Query(name, asked.type, asked.possible, asked.text, True, asked.ignore)
        usage = usage_of(asked.root, query, processes=cores(asked.processes))
        rows += report_of(asked, usage).rows
    return sorted(rows, key=lambda row: (row.path, row.line, row.column))


def configs(root: str, domain: str | None, *, format: str, ignore: bool, color: str) -> int:
    """`discover configs`."""
    return _configs(root, domain, lambda config: True, "config", format, ignore, color)


def workflows(root: str, *, format: str, ignore: bool, color: str) -> int:
    """`discover workflows`."""
    return _configs(root, None, lambda config: config.kind != "other", "workflow", format, ignore, color)


def _configs(
    root: str,
    domain: str | None,
    wanted: "Callable[[ConfigInfo], bool]",
    name: str,
    format: str,
    ignore: bool,
    color: str,
) -> int:
    from stepwave.discovery.configs import list_configs
    from stepwave.discovery.listing import shown_prefix

    try:
        found = list_configs(root, domain, ignore=ignore, prefix=shown_prefix(root))
    except OSError as problem:
        return told.cannot_read(root, problem)
    rows = [_config_row(config) for config in found.configs if wanted(config)]
    head: dict[str, object] = {"root": root, "domain": domain}
    return show(Report(name, rows, found.scanned, found.unread, head), format, color)


def _config_row(config: "ConfigInfo") -> Row:
    fields: dict[str, object] = {
        "path": config.path, "domain": config.domain, "format": config.format, "size": config.size,
        "modified_time": config.modified_time, "modified": config.modified.isoformat(timespec="seconds"),
        "kind": config.kind, "name": config.name or None, "steps": config.steps, "keys": list(config.keys),
        "error": config.error or None, "error_line": config.error_line or None,
    }  # fmt: skip
    said = config.error or ", ".join(config.keys)
    if config.steps:
        said = f"{config.name + ', ' if config.name else ''}{plural(config.steps, 'step')}: {said}"
    line = max(config.error_line, 1)
    return Row(config.path, line, 1, 1, config.kind, f"{config.format}: {said}" if said else config.format, fields)


def cache_info(*, json: bool) -> int:
    """`cache info`."""
    from stepwave.discovery.cache import cache_folder, kept_caches

    kept = kept_caches()
    if json:
        from json import dumps

        document = {"folder": cache_folder(), "caches": [each._asdict() for each in kept]}
        return terminal.write(dumps(document, indent=2) + "\n")
    lines = [
        f"{size_of(each.size):>10}  {told.shown(each.root or f'{each.path} (of another program)')}" for each in kept
    ]
    whole = f"{plural(len(kept), 'cache')}, {size_of(sum(each.size for each in kept))}, in {cache_folder()}"
    return terminal.write("".join(f"{line}\n" for line in [*lines, told.shown(whole)]))


def cache_clear(root: str | None) -> int:
    """`cache clear`."""
    from os.path import realpath

    from stepwave.discovery.cache import clear_caches

    here = realpath(root) if root is not None else None
    try:
        gone = clear_caches(lambda kept: here is None or kept.root == here)
    except OSError as problem:
        return told.cannot_read(problem.filename or "", problem)
    return terminal.write(f"{plural(len(gone), 'cache')} deleted, {size_of(sum(each.size for each in gone))}\n")
