"""What the page's script is given: a run or a plan as JSON values, laid out to be small.

Rule 1  Columns instead of objects: `steps.id[7]` is the id of step 7, `attempts.step[9]` the step of attempt 9. A
        column in which all are alike has one value. Steps and texts are named by their number, times are milliseconds,
        -1 stands for nothing.
Rule 2  Every text is made harmless and is bounded before it gets here; the page shows it as text and nothing else.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stepwave.core.plan import Plan
from stepwave.core.telling.layout.layout import Layout
from stepwave.core.telling.looks import LOOKS, look_of
from stepwave.core.telling.page.facts import Fact, Tail
from stepwave.core.telling.picture import Picture, picture_of_plan, picture_of_run, standing_of
from stepwave.core.telling.sketch import sketch_of
from stepwave.core.telling.story import Cause, Drawn, PoolStory, StepStory, Story
from stepwave.core.telling.wording import SKIP_WORDS, STAGE_NAMES
from stepwave.core.text import harmless, one_line

MAX_TEXT = 4000
"""Characters of a command that are shown."""
_MAX_NEEDS = 200_000
"""Needs in all that are listed; of sets of needs beyond that only the first few."""
_FEW_NEEDS = 40
_MAX_LEVELS = 4000
"""Changes of one pool that are shown; of more the highest of each stretch of time."""
_MAX_TESTS = 2000
_MAX_WORDS = 200
"""Words of a command."""

Values = dict[str, Any]


Tails = Mapping[str, Tail]
Facts = Mapping[str, Sequence[Fact]]


class _Texts:
    """Every text once."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, text: str | None, limit: int = MAX_TEXT) -> int:
        """-1 for none."""
        if not text:
            return -1
        shown = harmless(text if len(text) <= limit else text[:limit] + "…")
        if shown not in self._numbers:
            self._numbers[shown] = len(self.all)
            self.all.append(shown)
        return self._numbers[shown]


def _column(values: Iterable[Any]) -> list[Any]:
    all = list(values)
    return all[:1] if all and all.count(all[0]) == len(all) else all


# --- a run -----------------------------------------------------------------------------------------------------------


def values_of_run(story: Story, tails: Tails, facts: Facts) -> Values:
    """`tails` and `facts` by the ids of steps."""
    picture = picture_of_run(story)
    texts = _Texts()
    drawn = [step.drawn for step in story.steps]
    number = {step.id: at for at, step in enumerate(drawn)}
    return {
        "kind": "run",
        "run": _run(story, picture),
        **_shared(picture, drawn, number, texts),
        "outcomes": _outcomes(story, texts),
        "attempts": _attempts(story, texts),
        "waits": _waits(story, number, texts),
        "tests": _tests(story),
        "decisions": _decisions(story, number),
        "pools": [_pool(pool) for pool in story.pools],
        "widths": _levels(story.widths),
        "critical": [number[id] for id in story.critical_path if id in number],
        "facts": _facts(drawn, facts, texts),
        "tails": {str(number[id]): [tail.attempt, tail.text, tail.whole] for id, tail in tails.items() if id in number},
        "texts": texts.all,
    }


def _run(story: Story, picture: Picture) -> Values:
    return {
        "id": one_line(story.run),
        "title": picture.title,
        "file": one_line(story.file, 1000),
        "folder": one_line(story.folder, 1000),
        "startedAt": round(story.started_at * 1000),
        "wall": _ms(story.wall_s),
        "standing": standing_of(story),
        "exitCode": story.exit_code,
        "reason": one_line(story.reason or "", 1000),
        "slots": story.max_concurrency,
        "resumedFrom": one_line(story.resumed_from or ""),
        "stepwave": one_line(story.stepwave),
        "sketched": story.sketched,
    }


def _outcomes(story: Story, texts: _Texts) -> Values:
    keys = list(LOOKS)
    steps = story.steps
    return {
        "look": _column(keys.index(look_of(step, story.alive).key) for step in steps),
        "reason": _column(texts.number(SKIP_WORDS.get(step.reason or "", step.reason)) for step in steps),
        "ended": _column(_ms(step.ended_s) for step in steps),
        "takenFrom": _column(texts.number(step.taken_from) for step in steps),
        "stopping": _column(texts.number(step.stopping) for step in steps),
    }


def _attempts(story: Story, texts: _Texts) -> Values:
    """In the order of the steps: `of` says how many each has. `took` -1: it has no end. A command is one of `heads` and
    a last word; `peak` is in KiB."""
    all = [one for step in story.steps for one in step.attempts]
    heads: dict[tuple[int, ...], int] = {}
    argvs = [tuple(texts.number(word) for word in one.argv[:_MAX_WORDS]) for one in all]
    return {
        "of": _column(len(step.attempts) for step in story.steps),
        "number": _column(one.number for one in all),
        "begin": [_ms(one.begin_s) for one in all],
        "took": _column(-1 if one.end_s is None else _ms(one.end_s) - _ms(one.begin_s) for one in all),
        "slot": _column(one.slot for one in all),
        "head": _column(heads.setdefault(argv[:-1], len(heads)) for argv in argvs),
        "heads": [list(head) for head in heads],
        "last": _column(argv[-1] if argv else -2 for argv in argvs),
        "cwd": _column(texts.number(one.cwd) for one in all),
        "reason": _column(texts.number(one.reason) for one in all),
        "exitCode": _column(one.exit_code for one in all),
        "signal": _column(one.signal for one in all),
        "cpu": _column(_ms(one.usage.user_s + one.usage.system_s) if one.usage else -1 for one in all),
        "peak": _column(one.usage.peak_rss_bytes >> 10 if one.usage else -1 for one in all),
        "bytes": _column(one.log_bytes for one in all),
    }


def _waits(story: Story, number: Mapping[str, int], texts: _Texts) -> Values:
    """In the order of the steps: `of` says how many each has. `after` is the time between the wait before it (of the
    same step) and this one, from the start of the run on. `name` is a step for a need, and a text for all else."""
    causes = list(Cause)
    all = [one for step in story.steps for one in step.waits]
    return {
        "causes": [cause.value for cause in causes],
        "of": _column(len(step.waits) for step in story.steps),
        "after": _column(gap for step in story.steps for gap in _gaps(step)),
        "took": _column(_ms(one.end_s) - _ms(one.begin_s) for one in all),
        "cause": _column(causes.index(one.cause) for one in all),
        "name": _column(number.get(one.name, -1) if one.cause is Cause.NEED else texts.number(one.name) for one in all),
    }


def _gaps(step: StepStory) -> Iterable[int]:
    before = 0
    for wait in step.waits:
        yield _ms(wait.begin_s) - before
        before = _ms(wait.end_s)


def _tests(story: Story) -> list[Values]:
    all = [(at, test) for at, step in enumerate(story.steps) for test in step.tests]
    return [
        {
            "step": at,
            "attempt": test.attempt,
            "name": one_line(test.test),
            "passed": test.passed,
            "reason": one_line(test.reason or ""),
            "took": _ms(test.duration_s),
        }
        for at, test in all[:_MAX_TESTS]
    ]


def _decisions(story: Story, number: Mapping[str, int]) -> Values:
    return {
        str(at): {
            "result": step.decision.result,
            "chosen": [number[id] for id in step.decision.chosen if id in number][:_FEW_NEEDS],
            "error": one_line(step.decision.error or ""),
        }
        for at, step in enumerate(story.steps)
        if step.decision is not None
    }


def _pool(pool: PoolStory) -> Values:
    return {"name": one_line(pool.name, 80), "limit": pool.limit, "levels": _levels(_thinned(pool.levels))}


def _levels(levels: Sequence[tuple[float, int]]) -> list[int]:
    """By turns how long after the change before this one came, and how many there are from then on."""
    found, before = [], 0
    for moment, units in levels:
        found += [_ms(moment) - before, units]
        before = _ms(moment)
    return found


def _thinned(levels: Sequence[tuple[float, int]]) -> Sequence[tuple[float, int]]:
    """Of very many changes the highest in each stretch: what a chart of a few hundred pixels shows anyway."""
    if len(levels) <= _MAX_LEVELS:
        return levels
    stretch = -(-len(levels) // _MAX_LEVELS)
    parts = (levels[at : at + stretch] for at in range(0, len(levels), stretch))
    return [*((part[0][0], max(units for _, units in part)) for part in parts), levels[-1]]


# --- a plan ----------------------------------------------------------------------------------------------------------


def values_of_plan(plan: Plan, facts: Facts) -> Values:
    picture = picture_of_plan(plan)
    texts = _Texts()
    drawn = sketch_of(plan).steps
    number = {step.id: at for at, step in enumerate(drawn)}
    keys = list(LOOKS)
    return {
        "kind": "plan",
        "run": {"title": picture.title, "subtitle": picture.subtitle, "file": one_line(plan.workflow.place.path, 1000)},
        **_shared(picture, drawn, number, texts),
        "outcomes": {"look": [keys.index("planned")]},
        "facts": _facts(drawn, facts, texts),
        "texts": texts.all,
    }


# --- either ----------------------------------------------------------------------------------------------------------


def _shared(picture: Picture, drawn: Sequence[Drawn], number: Mapping[str, int], texts: _Texts) -> Values:
    return {
        "looks": [[look.key, look.word, look.mark] for look in LOOKS.values()],
        "steps": _steps(drawn, number, texts, picture),
        "layout": _layout(picture.layout, picture),
    }


def _steps(drawn: Sequence[Drawn], number: Mapping[str, int], texts: _Texts, picture: Picture) -> Values:
    sets: dict[tuple[int, ...], int] = {}
    of_step = []
    for step in drawn:
        needs = tuple(number[id] for id in step.needs if id in number)
        of_step.append(sets.setdefault(needs, len(sets)))
    return {
        "id": [one_line(step.id) for step in drawn],
        "name": _column(texts.number(step.name if step.name != step.id else "", 400) for step in drawn),
        "wave": _column(step.wave + 1 for step in drawn),
        "stage": _column(texts.number(STAGE_NAMES[step.stage]) for step in drawn),
        "after": _column(number.get(step.after, -1) for step in drawn),
        "file": _column(texts.number(step.file) for step in drawn),
        "line": _column(step.line for step in drawn),
        "pools": _column(texts.number(_pools(step.resources)) for step in drawn),
        "needs": _column(of_step),
        "needSets": list(_bounded(sets)),
        "shape": _column(box.shape.value for box in picture.boxes),
        "detail": _column(box.detail if box.look.key == "planned" else "" for box in picture.boxes),
    }


def _pools(resources: Iterable[tuple[str, int]]) -> str:
    return ", ".join(pool if units == 1 else f"{pool} x{units}" for pool, units in resources)


def _bounded(sets: Iterable[tuple[int, ...]]) -> Iterable[list[int]]:
    """The last number of each is how many there are in all."""
    left = _MAX_NEEDS
    for needs in sets:
        shown = needs if len(needs) <= left else needs[:_FEW_NEEDS]
        left -= len(shown)
        yield [*shown, len(needs)]


def _facts(drawn: Sequence[Drawn], facts: Facts, texts: _Texts) -> Values:
    """`of` says which of the `sets` a step has: kind, name, text, kind …, each as the number of a text."""
    sets: dict[tuple[int, ...], int] = {}
    of = [
        sets.setdefault(tuple(texts.number(part) for fact in facts.get(step.id, ()) for part in fact), len(sets))
        for step in drawn
    ]
    return {"of": _column(of), "sets": [list(each) for each in sets]}


def _layout(layout: Layout, picture: Picture) -> Values:
    """`links` by their targets: by turns how far the target is from the one before, and how far from its source."""
    steps = sum(kind >= 0 for kind in layout.kinds)
    links = sorted(layout.links, key=lambda link: link.target)
    targets = [0, *(link.target for link in links)]
    return {
        "columns": [round(each) for column in layout.columns for each in column],
        "column": list(layout.column_of),
        "y": [round(y) for y in layout.y],
        "knots": list(layout.kinds[steps:]),
        "links": [
            each
            for link, before in zip(links, targets, strict=False)
            for each in (link.target - before, link.target - link.source)
        ],
        "answers": {str(at): link.answer for at, link in enumerate(links) if link.answer},
        "became": [at for at, link in enumerate(links) if link.became],
        "bands": [
            [round(band.x), round(band.width), heading]
            for band, heading in zip(layout.bands, picture.bands, strict=True)
        ],
        "width": round(layout.width),
        "height": round(layout.height),
        "note": picture.note,
    }


def _ms(seconds: float | None) -> int:
    return -1 if seconds is None else round(seconds * 1000)
