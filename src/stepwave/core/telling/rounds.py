"""What a watched workflow says between two runs: which files changed, and what that means."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from stepwave.core.adjust import closure
from stepwave.core.telling.style import Role, Style
from stepwave.core.text import plural

MAX_FILES = 3
"""Files, and steps, that are named."""


class Change(NamedTuple):
    """A file that is not as it was: `what` is `changed`, `is new` or `is gone`."""

    path: str
    what: str


def affected(
    readers: Mapping[str, frozenset[str]],
    dependents: Mapping[str, Iterable[str]],
    left_out: frozenset[str],
    changes: Iterable[Change],
) -> tuple[tuple[str, ...], int]:
    """The steps that read one of the files, and how many others need one of these; but for those that are `left_out`.
    `readers`: by path. In the order of `dependents`."""
    found = {step for change in changes for step in readers.get(change.path, ())}
    # A part of a `forEach`, `x[one]`, is needed by whoever needs `x`; a step of a matrix has dependents of its own.
    known = {step: step if step in dependents else step.partition("[")[0] for step in found}
    place = {step: number for number, step in enumerate(dependents)}
    direct = sorted(found, key=lambda step: (place.get(known[step], -1), step))
    return tuple(direct), len(closure(known.values(), dependents) - {*known.values()} - left_out)


def headline(changes: Sequence[Change], direct: Sequence[str], after: int, style: Style) -> str:
    """`─── src/a.c changed: compile, then 2 steps that need it ───`"""
    text = _files(changes, style)
    if direct:
        text += f": {_some([style.word(step, 60) for step in direct])}"
        if after:
            text += (
                f", then {plural(after, 'step')} that need{'s' * (after == 1)} {'it' if len(direct) == 1 else 'them'}"
            )
    rule = style.rule * 3
    return f"{style.paint(rule, Role.ACCENT)} {style.paint(text, Role.STRONG)} {style.paint(rule, Role.ACCENT)}"


def _files(changes: Sequence[Change], style: Style) -> str:
    """`a and b changed, c is gone`"""
    if len(changes) > MAX_FILES and len({change.what for change in changes}) > 1:
        return f"{_some([style.word(change.path, 60) for change in changes])} changed"
    by: dict[str, list[str]] = {}
    for change in changes:
        by.setdefault(change.what, []).append(style.word(change.path, 60))
    return ", ".join(f"{_some(paths)} {what if len(paths) == 1 else _many[what]}" for what, paths in by.items())


_many = {"changed": "changed", "is new": "are new", "is gone": "are gone"}


def _some(words: Sequence[str]) -> str:
    if len(words) <= MAX_FILES:
        return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
    return f"{', '.join(words[:MAX_FILES])} and {len(words) - MAX_FILES} more"


def watching(own: int, inputs: int | None, *, silent: bool) -> str:
    """What is waited for: the files of the workflow, and those that its steps read. `inputs` is None where the workflow
    cannot be run; `silent`: no step says what it reads."""
    files = "the workflow file" if own <= 1 else f"the {own} files of the workflow"
    if inputs is None:
        return f"Waiting for {files} to change. Ctrl-C ends."
    if silent:
        return f"Watching {files}; no step says what it reads (`inputs`). Ctrl-C ends."
    return f"Watching {files} and {plural(inputs, 'file')} that its steps read. Ctrl-C ends."


def restless(paths: Sequence[str], style: Style) -> str:
    """Files that every run changes, so that they cannot be a reason for the next one."""
    some = _some([style.word(path, 60) for path in paths])
    one = len(paths) == 1
    return (
        f"{some} change{'s' * one} in every run, which is no reason for another one. "
        f"A step that makes {'it' if one else 'them'} should say so in its `outputs`."
    )
