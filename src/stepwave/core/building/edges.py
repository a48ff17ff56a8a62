"""The graph while it grows: which ids a word stands for, and what has been joined to what."""

from collections.abc import Collection, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from stepwave.core.building.fields import Reading
from stepwave.core.building.fields_many import Word
from stepwave.core.building.step import Draft
from stepwave.core.language.scoped import prefixes
from stepwave.core.reading.document import Span

if TYPE_CHECKING:
    from stepwave.core.building.groups import Group
    from stepwave.core.building.phases import Phase

MAX_JOINED = 200_000
"""Edges that may come of needs between many steps and many: workstreams, phases, matrices, included files."""


class Section(NamedTuple):
    """The steps of one file, or of one workstream of several, which then has an `id` and needs of its own.

    `scope` is the prefix of the ids in it; an included file has a longer one. `stream` is the id of the workstream that
    it belongs to, itself or by being included.
    """

    r: Reading
    id: str
    drafts: list[Draft]
    needs: Sequence[Word] = ()
    scope: str = ""
    stream: str = ""
    phases: Sequence["Phase"] = ()
    groups: Sequence["Group"] = ()


class Edges:
    """`spans` tells where an edge was written. `families` are the steps of a matrix or `forEach` by the id in the file,
    `scopes` the included files by prefix, `phases` the ids of phases, `pools` what the steps take by being in a group.
    """

    def __init__(self) -> None:
        self.drafts: dict[str, Draft] = {}
        self.by_name: dict[str, str] = {}
        self.families: dict[str, list[str]] = {}
        self.scopes: set[str] = set()
        self.phases: set[str] = set()
        self.needs: dict[str, list[str]] = {}
        self.spans: dict[tuple[str, str], tuple[Reading, Span]] = {}
        self.pools: dict[str, list[str]] = {}
        self._joined = 0

    def add(self, id: str, need: str, r: Reading, span: Span) -> None:
        if (id, need) not in self.spans:
            self.spans[id, need] = r, span
            self.needs[id].append(need)

    def join(self, ids: Sequence[str], needs: Sequence[str], r: Reading, span: Span) -> None:
        """Each of the one needs each of the other, unless that is out of all proportion, which is told once."""
        if len(ids) > 1 or len(needs) > 1:
            before, self._joined = self._joined, self._joined + len(ids) * len(needs)
            if self._joined > MAX_JOINED:
                if before <= MAX_JOINED:
                    message = (
                        f"{len(ids):,} steps that need {len(needs):,} others each: with these there are more than"
                        f" {MAX_JOINED:,} such dependencies"
                    )
                    help = "put one step of `type: noop` between them; between phases, a phase of its own"
                    r.error("too-many-edges", message, span, help)
                return
        for id in ids:
            for need in needs:
                self.add(id, need, r, span)

    def resolve(self, word: str, scope: str) -> Sequence[str]:
        """The ids that a word stands for: in its own file or workstream, in those around it, and last the name of a
        step without an id. Several for a step with a matrix, none when there is no such step, or a file is meant."""
        for prefix in prefixes(scope):
            id = prefix + word
            if id in self.drafts:
                return (id,)
            if id in self.families:
                return self.families[id]
            if id + "." in self.scopes:
                return ()
        for prefix in prefixes(scope):
            named = self.by_name.get(prefix + word)
            if named is not None:
                return self.families.get(named) or (named,)
        return ()

    def candidates(self, word: str) -> Collection[str]:
        """What may have been meant by a word that stands for nothing."""
        return self.drafts if "[" in word else self.names

    @cached_property
    def names(self) -> dict[str, None]:
        """The ids as they are in the files: one for each matrix. To be asked for once all steps are known."""
        return dict.fromkeys(draft.family or id for id, draft in self.drafts.items())


def first_and_last(edges: Edges, ids: Iterable[str]) -> tuple[list[str], list[str]]:
    """Of some steps those that need none of the others, and those that none of the others needs."""
    own = list(ids)
    among = set(own)
    needed = {need for id in own for need in edges.needs[id] if need in among}
    first = [id for id in own if not any(need in among for need in edges.needs[id])]
    return first, [id for id in own if id not in needed]
