"""Which edges a drawing shows: the real ones, each once, as long as they can be told apart.

Rule 1  An edge that a drawing of many leaves out follows from others that it shows: of a → b → c and a → c the last.
Rule 2  Where several steps have the same needs, the edges run together in one knot: as many needs and as many steps
        as there are lines, instead of one line for each pair. Whoever follows the lines finds exactly the real edges.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from stepwave.core.telling.story import Drawn

_CROWDED = 3
"""Edges for each step beyond which those that follow from others are left out."""
_FEW = 60
"""As many edges can always be told apart."""


class Edge(NamedTuple):
    """From a step to one that needs it, or (`became`) to one that the run made of it; `answer`: that of a condition."""

    source: int
    target: int
    answer: str = ""
    became: bool = False


class Knot(NamedTuple):
    """Every one of `targets` needs all of `sources`."""

    sources: tuple[int, ...]
    targets: tuple[int, ...]


class Edges(NamedTuple):
    """`implied`: so many edges are not shown, since they follow from others."""

    single: tuple[Edge, ...]
    knots: tuple[Knot, ...]
    implied: int = 0


def edges_of(steps: Sequence[Drawn]) -> Edges:
    """What is to be drawn between these steps; a need that is not among them is no edge."""
    number = {step.id: at for at, step in enumerate(steps)}
    needs = [tuple(dict.fromkeys(number[id] for id in step.needs if id in number)) for step in steps]
    count = sum(map(len, needs))
    if count > max(_FEW, _CROWDED * len(steps)):
        needs = _reduced(needs, [_answers(step, number) for step in steps])
    knots = tuple(_knots(needs, steps))
    tied = {target for knot in knots for target in knot.targets}
    single = [*_single(steps, needs, tied, number), *_became(steps, number)]
    return Edges(tuple(single), knots, count - sum(map(len, needs)))


def _answers(step: Drawn, number: Mapping[str, int]) -> frozenset[int]:
    return frozenset(number[id] for id in (*step.on_true, *step.on_false) if id in number)


def _single(
    steps: Sequence[Drawn], needs: Sequence[tuple[int, ...]], tied: set[int], number: Mapping[str, int]
) -> Iterator[Edge]:
    for target, step in enumerate(steps):
        if target not in tied:
            for source in needs[target]:
                yield Edge(source, target, _answer(steps[source], step.id))


def _answer(condition: Drawn, id: str) -> str:
    answers = [word for word, ids in (("true", condition.on_true), ("false", condition.on_false)) if id in ids]
    return " or ".join(answers)


def _became(steps: Sequence[Drawn], number: Mapping[str, int]) -> Iterator[Edge]:
    for target, step in enumerate(steps):
        source = number.get(step.after)
        if source is not None and source != target and step.after not in step.needs:
            yield Edge(source, target, became=True)


def _knots(needs: Sequence[tuple[int, ...]], steps: Sequence[Drawn]) -> Iterator[Knot]:
    """Two steps with two needs are drawn as they are: a knot has to save lines."""
    same: dict[tuple[int, ...], list[int]] = {}
    for target, sources in enumerate(needs):
        if len(sources) > 1:
            same.setdefault(tuple(sorted(sources)), []).append(target)
    for sources, targets in same.items():
        branches = any(steps[source].on_true or steps[source].on_false for source in sources)
        saves = len(sources) * len(targets) > len(sources) + len(targets) + 1
        if len(targets) > 1 and saves and not branches:
            yield Knot(sources, tuple(targets))


def _reduced(needs: Sequence[tuple[int, ...]], kept: Sequence[frozenset[int]]) -> list[tuple[int, ...]]:
    """Without the needs that another need has, directly or not; those in `kept` of the need itself stay.

    A set of steps is an integer with a bit for each of them. Steps with the same needs are worked out once.
    """
    above: list[int] = [0] * len(needs)
    known: dict[tuple[int, ...], tuple[int, int]] = {}
    found: list[tuple[int, ...]] = [()] * len(needs)
    for target in _downwards(needs):
        mine = needs[target]
        if mine not in known:
            further = direct = 0
            for source in mine:
                further |= above[source]
                direct |= 1 << source
            known[mine] = further, further | direct
        further, above[target] = known[mine]
        found[target] = tuple(s for s in mine if not further >> s & 1 or target in kept[s]) if further else mine
    return found


def _downwards(needs: Sequence[tuple[int, ...]]) -> list[int]:
    """Every step after those that it needs; what waits in a circle, which no plan has, comes last."""
    dependents: list[list[int]] = [[] for _ in needs]
    missing = [len(sources) for sources in needs]
    for target, sources in enumerate(needs):
        for source in sources:
            dependents[source].append(target)
    order = [step for step, count in enumerate(missing) if not count]
    for step in order:  # it grows while it is read
        for target in dependents[step]:
            missing[target] -= 1
            if not missing[target]:
                order.append(target)
    return order if len(order) == len(needs) else [*order, *sorted(set(range(len(needs))) - set(order))]
