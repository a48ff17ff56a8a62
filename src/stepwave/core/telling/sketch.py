"""A plan as a sketch, for its run to be told: as JSON values, which is how it is recorded, and as a `story.Sketch`.

It is written at the beginning of every run, so straight from the plan, and nothing is imported for it; in columns, as a
row for every step would take twice as long. Of a run of 10,000 steps it is some thousandths.
"""

from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from stepwave.core.model import Scheduling, Stage, Step, StepType
from stepwave.core.plan import Plan

if TYPE_CHECKING:
    from stepwave.core.telling.story import Drawn, Sketch

STANDARD_INPUT = "-"

Document = dict[str, Any]
"""One of each for every step, in file order: `ids`, `waves`, `needs` (their places in `ids`) and `lines` (0: in none).
By the place of the step, where it has one: `names`, unless it is the id, and `more`, what only few steps have.
`files` are those that steps stand in ("": in none); `more` says `file` where it is not the first."""


def sketch_of(plan: Plan) -> "Sketch":
    document = sketch_document(plan)
    for column in ("names", "more"):  # as JSON has them
        document[column] = {str(n): value for n, value in document[column].items()}
    return sketch_from(document)


def sketch_document(plan: Plan) -> Document:
    """Paths of files as the plan has them."""
    flow, ids, steps = plan.workflow, list(plan.steps), list(plan.steps.values())
    row_of = dict(zip(ids, range(len(ids)), strict=True)).__getitem__
    file_of = {path: n for n, path in enumerate(dict.fromkeys(step.place[0] for step in steps))}
    more = {n: _more(step) for n, step in enumerate(steps) if _special(step) != _usual}
    if len(file_of) > 1:
        for n, step in enumerate(steps):
            if file := file_of[step.place[0]]:
                more.setdefault(n, {})["file"] = file
    document: Document = {
        "files": ["" if path == STANDARD_INPUT else path for path in file_of],
        "ids": ids,
        "waves": [plan.wave_of[id] for id in ids],
        "needs": [list(map(row_of, step.needs)) for step in steps],
        "lines": [step.place[1] for step in steps],
        "names": {n: step.name for n, step in enumerate(steps) if step.name != step.id},
        "more": more,
    }
    if flow.rate_limit_s:
        document["rateLimitS"] = flow.rate_limit_s
    if flow.scheduling is Scheduling.WAVES and flow.parallel:
        document["byWaves"] = True
    return document


_special = attrgetter("resources", "stage", "type", "branch", "exclusive", "max_concurrency", "priority")
_usual = (), Stage.MAIN, StepType.SCRIPT, None, False, None, 0


def _more(step: Step) -> dict[str, Any]:
    more: dict[str, Any] = {}
    if step.resources:
        more["resources"] = step.resources
    if step.stage is not Stage.MAIN:
        more["stage"] = step.stage.value
    if step.type is not StepType.SCRIPT:
        more["type"] = step.type.value
    if step.branch is not None:
        more["onTrue"], more["onFalse"] = step.branch.on_true, step.branch.on_false
    if step.exclusive:
        more["exclusive"] = True
    if step.max_concurrency is not None:
        more["maxConcurrency"] = step.max_concurrency
    if step.priority:
        more["priority"] = step.priority
    return more


def sketch_from(document: Document) -> "Sketch":
    """Names that this version does not know are left out."""
    from stepwave.core.telling.story import Sketch

    steps = tuple(_drawn(document))
    return Sketch(steps, document.get("rateLimitS", 0.0), document.get("byWaves", False))


def _drawn(document: Document) -> "Iterator[Drawn]":
    from stepwave.core.telling.story import Drawn

    ids, files, names, every = document["ids"], document["files"], document["names"], document["more"]
    none: Mapping[str, Any] = {}
    columns = zip(ids, document["waves"], document["needs"], document["lines"], strict=True)
    for n, (id, wave, needs, line) in enumerate(columns):
        more = every.get(str(n), none)
        file = files[more.get("file", 0)]
        yield Drawn(
            id=id,
            name=names.get(str(n)) or id,
            wave=wave,
            needs=tuple(ids[need] for need in needs),
            resources=tuple((pool, units) for pool, units in more.get("resources", ())),
            stage=Stage(more.get("stage", Stage.MAIN.value)),
            file=file,
            line=line if file else 0,
            on_true=tuple(more.get("onTrue", ())),
            on_false=tuple(more.get("onFalse", ())),
            type=StepType(more.get("type", StepType.SCRIPT.value)),
            exclusive=more.get("exclusive", False),
            max_concurrency=more.get("maxConcurrency"),
            priority=more.get("priority", 0),
        )
