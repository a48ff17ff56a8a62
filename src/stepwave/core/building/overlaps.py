"""Of many patterns of paths, those that have a path in common and belong to steps that can run at the same time.

Patterns without wildcards stand in a tree of names: two of them meet where one lies on the way to the other. A pattern
with wildcards is compared with what lies below its plain beginning, and with the folders above.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from stepwave.core.building.globs import Pattern, TooManySteps, overlap, pattern_of

MAX_LOOKS = 1_000_000
"""Pairs of claims that may be looked at, and that wildcards make necessary."""
MAX_COMPARED = 20_000
"""Pairs of patterns that may be compared."""


class Claim(NamedTuple):
    """A pattern. `steps` are the bits of the steps that claim it, `beside` those of all that can run beside them and
    are not of the same mind; `owner` tells whose it is."""

    text: str
    owner: int
    steps: int
    beside: int


class Meeting(NamedTuple):
    """Two claims, by number, and a path of both. `exact`: not only when large and small letters are the same."""

    first: int
    second: int
    path: str
    exact: bool


class TooManyClaims(Exception):  # noqa: N818 - a budget, not a fault
    """The search was given up; what was found by then is right."""


class _Node:
    """A name in the tree. Claims are numbers; `end` is where the claims below end in `Tree.order`."""

    def __init__(self, parent: "_Node | None") -> None:
        self.parent = parent
        self.names: dict[str, _Node] = {}
        self.plain: list[int] = []
        self.wild: list[int] = []
        self.start = self.end = 0


def meetings(claims: Sequence[Claim]) -> Iterator[Meeting]:
    """Every two claims of different owners that meet, one meeting for two owners. Raises TooManyClaims in the end,
    when there was too much to compare. Names are compared without regard to case first."""
    search = _Search(claims)
    yield from search.plain()
    yield from search.wild()


class _Search:
    def __init__(self, claims: Sequence[Claim]) -> None:
        self.claims = claims
        self.patterns = [pattern_of(claim.text.lower()) for claim in claims]
        self.root = _Node(None)
        self.order: list[int] = []
        self._told: set[tuple[int, int]] = set()
        self._known: dict[tuple[str, str], str | None] = {}
        self._looks = MAX_LOOKS
        self._compared = MAX_COMPARED
        for n, pattern in enumerate(self.patterns):
            node = self._node(pattern)
            (node.plain if pattern.is_plain else node.wild).append(n)
        self._number()

    def _node(self, pattern: Pattern) -> _Node:
        node = self.root
        for name in pattern.prefix:
            found = node.names.get(name)
            if found is None:
                found = node.names[name] = _Node(node)
            node = found
        return node

    def _number(self) -> None:
        """Lays the claims in a row in which those below a name stand together."""
        waiting: list[tuple[_Node, bool]] = [(self.root, False)]
        while waiting:
            node, done = waiting.pop()
            if done:
                node.end = len(self.order)
                continue
            node.start = len(self.order)
            self.order += node.plain + node.wild
            waiting.append((node, True))
            waiting += [(inner, False) for inner in node.names.values()]

    # --- without wildcards ---------------------------------------------------------------------------

    def plain(self) -> Iterator[Meeting]:
        """Walks down the tree with the steps that have claimed what lies above."""
        waiting = [(self.root, 0)]
        while waiting:
            node, above = waiting.pop()
            for n in node.plain:
                above |= self.claims[n].steps
            for n in node.plain:
                if above & self.claims[n].beside:
                    yield from self._with_those_above(n, node)
            waiting += [(inner, above) for inner in node.names.values()]

    def _with_those_above(self, n: int, node: _Node) -> Iterator[Meeting]:
        at: _Node | None = node
        while at is not None:
            for other in at.plain:
                if at is not node or other < n:
                    yield from self._compare(n, other)
            at = at.parent

    # --- with wildcards ------------------------------------------------------------------------------

    def wild(self) -> Iterator[Meeting]:
        for n, pattern in enumerate(self.patterns):
            if pattern.is_plain or not self.claims[n].beside:
                continue
            node = self._node(pattern)
            for at in range(node.start, node.end):
                yield from self._compare(n, self.order[at])
            above = node.parent
            while above is not None:
                for other in above.plain:
                    yield from self._compare(n, other)
                above = above.parent

    def _compare(self, n: int, other: int) -> Iterator[Meeting]:
        one, two = self.claims[n], self.claims[other]
        self._looks -= 1
        if self._looks < 0:
            raise TooManyClaims
        pair = (min(one.owner, two.owner), max(one.owner, two.owner))
        if one.owner == two.owner or not one.beside & two.steps or pair in self._told:
            return
        path = self._path(n, other)
        if path is not None:
            self._told.add(pair)
            first, second = sorted((n, other))
            real = overlap(self.claims[first].text, self.claims[second].text)
            yield Meeting(first, second, path if real is None else real, real is not None)

    def _path(self, n: int, other: int) -> str | None:
        first, second = sorted((n, other), key=lambda number: self.patterns[number].text)
        texts = self.patterns[first].text, self.patterns[second].text
        if texts not in self._known:
            self._compared -= 1
            if self._compared < 0:
                raise TooManyClaims
            try:
                self._known[texts] = overlap(self.patterns[first], self.patterns[second])
            except TooManySteps:
                self._compared -= MAX_COMPARED // 10  # a few of these are all that there is time for
                self._known[texts] = None
        return self._known[texts]
