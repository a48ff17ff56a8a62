"""`run --resume` and `retry`: from the run that is taken up again to what is asked for now, and what is told of it."""

import os
from collections.abc import Mapping
from typing import Any

from stepwave import past
from stepwave.cli import terminal
from stepwave.cli.running import Asked
from stepwave.core.diagnostics import COMMAND_LINE, Diagnostic, Place, error
from stepwave.core.model import Value
from stepwave.core.origin import Origin
from stepwave.core.plan import Plan
from stepwave.core.text import one_line, plural

MAX_TOLD = 20
"""Steps of which is told what has changed."""


def go_back(
    asked: Asked, path: str, given: Mapping[str, Value]
) -> tuple[Asked, Mapping[str, Value], past.Earlier | None, list[Diagnostic]]:
    """What was asked for in the run that `--resume` names, wherever nothing else is asked for now; its variables, with
    those that are given now over them; and the run. May raise LedgerUnusable."""
    found = past.find(path, asked.resume or past.LATEST, os.environ)
    if isinstance(found, Diagnostic):
        return asked, given, None, [found]
    return _as_before(asked, found.origin), {**found.origin.variables, **given}, found, []


def _as_before(asked: Asked, origin: Origin) -> Asked:
    usual = Asked._field_defaults
    before: dict[str, Any] = {
        **origin.options,
        "name": origin.name,
        "tools": origin.tools,
        "only": origin.only,
        "skip": origin.skip,
        "start": origin.start,
    }
    if asked.only or asked.skip or asked.start:
        before |= {"only": asked.only, "skip": asked.skip, "start": asked.start}
    known = {name: value for name, value in before.items() if name in Asked._fields}
    return asked._replace(**{name: value for name, value in known.items() if getattr(asked, name) == usual[name]})


def take_up(asked: Asked, path: str, earlier: past.Earlier, plan: Plan, again: tuple[str, ...]) -> past.TakenUp:
    """What is left of the run, which is told. May raise LedgerUnusable."""
    taken_up = past.take_up(earlier, plan, again)
    if not asked.quiet:
        tell(taken_up, path)
    return taken_up


def tell(taken_up: past.TakenUp, path: str) -> None:
    """Which run goes on, and what is different now."""
    earlier = taken_up.earlier
    lines = [f"Taking up run {earlier.run.id}: {taken_up.done} of {plural(taken_up.of, 'step')} done"]
    if earlier.file and earlier.file != past.file_of(path):
        lines.append(f"  it was of {one_line(earlier.file, 200)}")
    terminal.talk([*lines, *_changes(taken_up), ""])


def tell_changes(taken_up: past.TakenUp) -> None:
    """What is different now, if anything is."""
    if taken_up.changes:
        terminal.talk([*_changes(taken_up), ""])


def _changes(taken_up: past.TakenUp) -> list[str]:
    lines = [
        f"  {one_line(id, 80)}: {one_line('; '.join(differences), 300)}"
        for id, differences in taken_up.changes[:MAX_TOLD]
    ]
    if len(taken_up.changes) > MAX_TOLD:
        lines.append(f"  {plural(len(taken_up.changes) - MAX_TOLD, 'more step')} changed")
    return lines


# --- retry ---------------------------------------------------------------------------------------------------------


def retry(run: str | None, *, failed: bool, steps: tuple[str, ...], file: str | None, asked: Asked) -> int:
    """The exit code. `asked` is how it is to be shown."""
    from stepwave.cli.running import run as run_it

    found = past.find(file or ".", run, os.environ, of_file=False)
    problem = found if isinstance(found, Diagnostic) else _unfit(found, file)
    if not problem and failed and steps:
        problem = error("conflicting-options", "`--failed` and `--step` exclude each other", Place(COMMAND_LINE))
    if problem or isinstance(found, Diagnostic):
        terminal.tell_findings([problem or found], {}, asked.color)  # type: ignore[list-item]
        return 2
    return run_it(asked._replace(file=file or _shown(found.file), resume=found.run.id), steps)


def _unfit(earlier: past.Earlier, file: str | None) -> Diagnostic | None:
    if earlier.file or file:
        return None
    message = f"run {earlier.run.id} came from no file that could be read again"
    return error("nothing-to-resume", message, Place(COMMAND_LINE), "name one with `--file`")


def _shown(file: str) -> str:
    """As people would write it: relative, where it lies below the current folder."""
    try:
        here = os.path.realpath(".")
    except OSError:
        return file
    return os.path.relpath(file, here) if file.startswith(f"{here}{os.sep}") else file
