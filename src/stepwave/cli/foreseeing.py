"""What `plan` and `simulate` print: how long a run will take, and would with other limits."""

import json as json_module
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from stepwave import api, past, records
from stepwave.cli import terminal
from stepwave.core.diagnostics import COMMAND_LINE, Diagnostic, Place, did_you_mean, error, has_errors
from stepwave.core.origin import Origin
from stepwave.core.plan import Plan
from stepwave.core.running.simulate import CannotSimulate, Setting
from stepwave.core.running.weights import CRITICAL_PATH, ORDERS, is_order
from stepwave.core.telling import forecast, whatif
from stepwave.core.telling.style import Style, can_show_unicode, make_style, wants_color
from stepwave.core.text import one_line
from stepwave.core.variables import read_variables

_here = Place(COMMAND_LINE)
_most = 100_000


class Asked(NamedTuple):
    """What was typed. `widths` and `units` as they stand behind `-j` and `--resource`."""

    what: str
    widths: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    order: str = CRITICAL_PATH
    var: tuple[str, ...] = ()
    name: str | None = None


def plan(asked: Asked, *, json: bool) -> int:
    """0, or 2 and what is wrong."""
    if wrong := _wrong(asked, auto=True):
        return _refuse(wrong)
    found = _planned(asked)
    if found is None:
        return 2
    expected = forecast.forecast(found, asked.order)
    if json:
        return _document(forecast.document(expected))
    return _print(list(forecast.lines(expected, _style(), terminal.width())))


def simulate(asked: Asked, *, json: bool) -> int:
    """0, or 2 and what is wrong."""
    if wrong := _wrong(asked, auto=False):
        return _refuse(wrong)
    recorded = _recorded(asked)
    if recorded is None:
        return 2
    if isinstance(recorded, Diagnostic):
        return _refuse([recorded])
    found = _tried(asked, recorded)
    if isinstance(found, list):
        return _refuse(found)
    if json:
        return _document(whatif.document(recorded, found))
    return _print(list(whatif.lines(recorded, found, _style(), terminal.width())))


def _tried(asked: Asked, recorded: whatif.Recorded) -> tuple[whatif.Trial, ...] | list[Diagnostic]:
    pools, wrong = _pools(asked.units, recorded.setting.pools)
    if wrong:
        return wrong
    try:
        return tuple(whatif.trials(recorded, _settings(asked, recorded.setting, pools)))
    except CannotSimulate as problem:
        return [error("cannot-simulate", f"the run could not go on: {problem}", _here)]


# --- what is meant -------------------------------------------------------------------------------------


def _recorded(asked: Asked) -> whatif.Recorded | Diagnostic | None:
    """None: what is wrong with the file has been told."""
    if _is_file(asked.what):
        found = _planned(asked._replace(widths=()))
        return found and whatif.of_plan(found)
    story = records.story(asked.what)
    if isinstance(story, Diagnostic):
        return story
    if not story.sketched:
        message = f"run {story.run} was recorded by an older stepwave, without what its steps need"
        return error("cannot-simulate", message, _here, "run the workflow again, or simulate its file")
    return whatif.of_story(story)


def _is_file(word: str) -> bool:
    return word == "-" or Path(word).exists() or Path(word).suffix in (".yaml", ".yml", ".json")


def _planned(asked: Asked) -> Plan | None:
    """With what earlier runs have shown; None: what is wrong has been told."""
    variables, findings = read_variables(asked.var, None)
    path = api.locate(asked.what)
    loaded = api.load(path, variables=variables, name=asked.name)
    findings += loaded.diagnostics
    if loaded.workflow is None or has_errors(findings):
        terminal.tell_findings(findings, {loaded.path: loaded.text, **loaded.texts}, "auto")
        return None
    width = asked.widths[0] if asked.widths else None
    count = None if width is None else max(4, api.cpu_count()) if width == "auto" else int(width)
    planned = api.plan(loaded.workflow, max_concurrency=count)
    return past.known(planned, Origin(past.file_of(loaded.path), name=asked.name), os.environ)


# --- what was typed ------------------------------------------------------------------------------------


def _wrong(asked: Asked, *, auto: bool) -> list[Diagnostic]:
    found = [
        error("bad-option", f"`-j {one_line(width, 20)}` is no number from 1{' and not `auto`' * auto}", _here)
        for width in asked.widths
        if not _is_number(width) and not (auto and width == "auto")
    ]
    if not is_order(asked.order):
        sentence = f"`--order {one_line(asked.order, 40)}` is no order of steps"
        found.append(error("bad-option", sentence, _here, f"it is one of {', '.join(ORDERS)}"))
    return found


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= _most


def _pools(units: tuple[str, ...], known: Mapping[str, int]) -> tuple[dict[str, int], list[Diagnostic]]:
    pools: dict[str, int] = {}
    wrong = []
    for text in units:
        name, _, count = text.rpartition("=")
        if not name or not _is_number(count):
            sentence = f"`--resource {one_line(text, 40)}` is not `POOL=N`, with N a number from 1"
            wrong.append(error("bad-option", sentence, _here))
        elif name not in known:
            sentence = f"there is no pool `{one_line(name, 40)}`"
            wrong.append(error("unknown-resource", sentence, _here, did_you_mean(name, known)))
        else:
            pools[name] = int(count)
    return pools, wrong


def _settings(asked: Asked, usual: Setting, pools: Mapping[str, int]) -> list[tuple[str, Setting]]:
    """A name and a setting for each width; none where nothing was asked for."""
    if not asked.widths and not pools and asked.order == usual.order:
        return []
    more = [f"{name}={count}" for name, count in pools.items()]
    more += [asked.order] * (asked.order != usual.order)
    changed = usual._replace(pools={**usual.pools, **pools}, order=asked.order)
    return [
        (
            ", ".join([f"-j {width}"] * (width != "") + more),
            changed._replace(slots=int(width) if width else usual.slots),
        )
        for width in asked.widths or ("",)
    ]


# --- printing ------------------------------------------------------------------------------------------


def _refuse(findings: list[Diagnostic]) -> int:
    terminal.tell_findings(findings, {}, "auto")
    return 2


def _style() -> Style:
    colored = wants_color("auto", os.environ, sys.stdout.isatty())
    return make_style(color=colored, unicode=can_show_unicode(sys.stdout.encoding, os.environ))


def _print(lines: list[str]) -> int:
    return terminal.write("".join(f"{line}\n" for line in lines))


def _document(document: object) -> int:
    return terminal.write(json_module.dumps(document, indent=2, ensure_ascii=False) + "\n")
