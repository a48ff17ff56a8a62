"""Which files a workflow hangs on, how they lie there now, and what is different from how they lay: for `run --watch`.

Rule 1  What counts is seen by comparing two looks at the files. Who wrote them, how often, and by which way is nobody's
        business: an editor that saves by renaming is no different from one that does not.
Rule 2  What the run itself makes is no reason for another run: what its steps declare as `outputs`, and the files that
        the command line asks for.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from stepwave.core.language.scope import has_reference
from stepwave.core.model import nothing
from stepwave.core.telling.rounds import Change

if TYPE_CHECKING:
    from stepwave.core.model import Step
    from stepwave.core.plan import Plan
    from stepwave.edge.ledger.expand import Stat
    from stepwave.loading import Loaded

_wildcards = "*?["


class Sight(NamedTuple):
    """What is looked at; all paths are absolute. `files` are those of the workflow itself, `folder` that of
    workstreams, "" where there is none. `reads` are the patterns of each step, `makes` those of all outputs.
    `dependents`: who needs each step. `unseen` are the steps of which nobody knows yet what they read, `left_out` those
    that do not run."""

    files: tuple[str, ...]
    folder: str = ""
    reads: Mapping[str, tuple[str, ...]] = nothing
    makes: tuple[str, ...] = ()
    dependents: Mapping[str, tuple[str, ...]] = nothing
    unseen: frozenset[str] = frozenset()
    left_out: frozenset[str] = frozenset()


class Look(NamedTuple):
    """How the files lie there: `files` by path, `own` those of the workflow, `readers` who reads each, `made` what the
    outputs mean. `too_many`: the steps whose patterns mean too many files, which are not looked at."""

    files: "Mapping[str, Stat | None]"
    own: frozenset[str]
    readers: Mapping[str, frozenset[str]]
    made: frozenset[str]
    too_many: tuple[str, ...] = ()


# --- what is looked at ---------------------------------------------------------------------------------------------


def sight_of(loaded: "Loaded", plan: "Plan | None", left_out: frozenset[str], also: Iterable[str], base: str) -> Sight:
    """What a workflow hangs on. `plan` is None for one that cannot be run: then only its own files matter. Steps of
    `left_out` do not run. `also` are files that the command line names, and paths start from the folder `base`."""
    files = tuple(dict.fromkeys(os.path.join(base, path) for path in (loaded.path, *loaded.files, *also)))  # noqa: PTH118
    folder = files[0] if os.path.isdir(files[0]) else ""  # noqa: PTH112
    if plan is None:
        return Sight(files, folder)
    reads, makes, unseen = _patterns(plan, left_out)
    return Sight(files, folder, reads, makes, plan.dependents, unseen, left_out)


def _patterns(
    plan: "Plan", left_out: frozenset[str]
) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...], frozenset[str]]:
    from stepwave.core.masked import stand_ins
    from stepwave.core.running.prepare import CannotPrepare, Preparation

    secrets = stand_ins(plan.workflow.secrets) if plan.workflow.secrets else {}
    preparation = Preparation(plan, environ=os.environ, run="", run_folder="", now=0.0, secrets=secrets)
    reads: dict[str, tuple[str, ...]] = {}
    makes: list[str] = []
    unseen = set()
    for id, step in plan.steps.items():
        if id in left_out or (step.inputs is None and not step.outputs):
            continue
        try:
            inputs, outputs = preparation.patterns(step)
        except CannotPrepare:  # it refers to what another step brings, or to its item of a list
            unseen.add(id)
            continue
        makes += outputs
        if inputs is not None:
            reads[id] = (*inputs, *_stdin(step, plan.workflow.folder))
    return reads, tuple(makes), frozenset(unseen)


def _stdin(step: "Step", folder: str) -> tuple[str, ...]:
    """The file that it reads as its standard input."""
    path = step.stdin.path if step.stdin else None
    return (os.path.join(folder, step.base, path),) if path and not has_reference(path, step.dollar) else ()  # noqa: PTH118


def with_recorded(sight: Sight, file: str, environ: Mapping[str, str]) -> Sight:
    """With what the steps have read the last time, of which only that is known. `file` is what the ledger calls the
    workflow. May raise LedgerUnusable."""
    if not sight.unseen:
        return sight
    from stepwave.edge.files import known_states
    from stepwave.edge.ledger.find import reading
    from stepwave.edge.ledger.inputs import last_inputs

    top = file if sight.folder else os.path.dirname(file)  # noqa: PTH120
    with reading(known_states(Path(top), environ)) as ledger:
        found = last_inputs(ledger, file, sight.unseen) if ledger else {}
    known = {step: tuple(os.path.join(top, path) for path in paths) for step, paths in found.items()}  # noqa: PTH118
    return sight._replace(reads={**sight.reads, **known})


# --- how it lies there ---------------------------------------------------------------------------------------------


def look(sight: Sight) -> Look:
    """Look at everything."""
    from stepwave.edge.ledger.expand import TooManyFiles, expand

    files: dict[str, Stat | None] = dict(look_at(sight))
    own = frozenset(files)
    of_pattern: dict[str, tuple[str, ...]] = {}
    readers: dict[str, set[str]] = {}
    too_many = []
    for step, patterns in sight.reads.items():
        for pattern in patterns:
            if pattern not in of_pattern:
                try:
                    found = expand((pattern,)).files
                except TooManyFiles:
                    too_many.append(step)
                    found = {}
                of_pattern[pattern] = tuple(found)
                files.update(found)
            for path in of_pattern[pattern]:
                readers.setdefault(path, set()).add(step)
    made: set[str] = set()
    for pattern in dict.fromkeys(sight.makes):
        try:
            made.update(expand((pattern,)).files)
        except TooManyFiles:
            continue
    return Look(files, own, {path: frozenset(steps) for path, steps in readers.items()}, frozenset(made), (*too_many,))


def look_at(sight: Sight) -> "Mapping[str, Stat | None]":
    """Look at the files of the workflow itself."""
    from stepwave.edge.find import workflows_in
    from stepwave.edge.ledger.expand import expand

    below = workflows_in(sight.folder) if sight.folder else []
    own = [file for file in dict.fromkeys((*sight.files, *below)) if not os.path.isdir(file)]  # noqa: PTH112
    return {path: stat for file in own for path, stat in expand((file,)).files.items()}


def changes(before: Look, now: Look) -> tuple[Change, ...]:
    """What is different, in the order of the paths."""
    found = []
    for path in sorted(before.files.keys() | now.files.keys()):
        if path not in now.files:
            found.append(Change(path, "is gone"))
        elif path not in before.files:
            found.append(Change(path, "is new"))
        elif before.files[path] != now.files[path]:
            found.append(Change(path, "changed"))
    return tuple(found)


# --- where a change would show -------------------------------------------------------------------------------------


def folders(sight: Sight, now: Look) -> frozenset[str]:
    """The folders in which something may come, go or change; of one that is not there, the nearest that is."""
    found: set[str] = set()
    for file in sight.files:
        found |= _around(file)
    if sight.folder:
        found |= _around(f"{sight.folder}/.")
    for pattern in {pattern for patterns in sight.reads.values() for pattern in patterns}:
        found |= _of_pattern(pattern)
    for path in now.files:
        if os.path.islink(path):  # noqa: PTH114 - what it leads to is changed elsewhere
            found |= _around(os.path.realpath(path))
    return frozenset(found)


def names(now: Look) -> frozenset[str]:
    """What a file is called whose change matters, by whatever way it is reached."""
    targets = {os.path.realpath(path) for path in now.files if os.path.islink(path)}  # noqa: PTH114
    return frozenset(os.path.basename(path) for path in {*now.files, *targets})  # noqa: PTH119


def _around(file: str) -> set[str]:
    """The folder of the file, and the one in which that may come and go."""
    folder = os.path.dirname(file)  # noqa: PTH120
    return {_nearest(folder), _nearest(os.path.dirname(folder))}  # noqa: PTH120


def _nearest(folder: str) -> str:
    while not os.path.isdir(folder):  # noqa: PTH112
        folder = os.path.dirname(folder)  # noqa: PTH120
    return folder


def _of_pattern(pattern: str) -> set[str]:
    """`src/*.c`: `src`; `src/**/*.c`: that and all folders below it; `src`, where it is a folder: the same."""
    path = os.path.normpath(pattern)
    if os.path.isdir(path):  # noqa: PTH112
        return {os.path.dirname(path), *_below(path, None)}  # noqa: PTH120
    parts = path.split("/")
    plain = next((n for n, part in enumerate(parts) if any(sign in part for sign in _wildcards)), len(parts) - 1)
    start = "/".join(parts[:plain]) or "/"
    if not os.path.isdir(start):  # noqa: PTH112
        return {_nearest(start)}
    return {os.path.dirname(start), *_below(start, None if "**" in parts else len(parts) - plain - 1)}  # noqa: PTH120


def _below(folder: str, depth: int | None) -> Iterator[str]:
    """The folder, and those below it, so many levels deep; None: all."""
    from stepwave.edge.ledger.expand import PASSED_OVER

    waiting = [(folder, depth)]
    while waiting:
        at, left = waiting.pop()
        yield at
        if left == 0:
            continue
        try:
            with os.scandir(at) as entries:
                inner = [one.path for one in entries if one.is_dir(follow_symlinks=False)]
        except OSError:
            continue
        deeper = None if left is None else left - 1
        waiting += [(path, deeper) for path in inner if os.path.basename(path) not in PASSED_OVER]  # noqa: PTH119


def shown(path: str, base: str) -> str:
    """As people would write it: relative, where it lies below the folder in which they are."""
    return os.path.relpath(path, base) if path.startswith(f"{base.rstrip('/')}/") else path
