"""Which files steps claim (`files_scope` and its kin), and whether two that can run at the same time claim the same.

Rule 1  A step conflicts with a step, and a workstream with a workstream: what a workstream claims is for its own steps
        to share. What a step of it claims counts for the workstream as well.
Rule 2  Two steps cannot run at the same time when one waits for the other, when both need more of a pool than there is,
        when one runs alone, when they stand in different stages or on the two sides of a condition.
Rule 3  Time is bounded: claims without wildcards are found in a tree of names, and steps are compared by bits of whole
        numbers; what is left over is compared until a budget is spent, which is told.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from stepwave.core.building.fields import Found, Given, Reading, every, quoted, resolved
from stepwave.core.building.fields_many import words
from stepwave.core.building.globs import TooManySteps, overlap, within
from stepwave.core.building.overlaps import Claim, Meeting, TooManyClaims, meetings
from stepwave.core.building.parts import Part
from stepwave.core.building.step import Draft
from stepwave.core.building.together import together
from stepwave.core.language.scope import has_reference
from stepwave.core.model import Step, Workflow, nothing
from stepwave.core.reading.document import Node, Span
from stepwave.core.reading.document import Sequence as Items
from stepwave.core.text import one_line

MAX_PATTERN = 1_000
"""Characters of one pattern."""
MAX_TOLD = 100
"""Conflicts that are told."""
MAX_COMPARED = 2_000
"""Pairs of a file that may be created and a scope that it should lie in."""

NAMES = ("files.scope", "files.create", "files.modify", "files.forbidden")


def claims_files(found: Found) -> bool:
    return any(name in found for name in NAMES)


class _Said(NamedTuple):
    """A pattern, and where it stands."""

    text: str
    r: Reading
    span: Span


class _Scope(NamedTuple):
    """What one step or one workstream says about files."""

    scope: Sequence[_Said] = ()
    create: Sequence[_Said] = ()
    modify: Sequence[_Said] = ()
    forbidden: Sequence[_Said] = ()

    @property
    def claimed(self) -> list[_Said]:
        return [*self.scope, *self.create, *self.modify]


_silent = _Scope()


class _Owner(NamedTuple):
    """Whose a claim is. `bits` are the steps that it stands for, `beside` those that it must not meet."""

    name: str
    bits: int
    beside: int


def check_scopes(parts: Sequence[Part], drafts: Iterable[Draft], workflow: Workflow) -> None:
    """Reports claims that contradict each other. `parts` and `drafts` are what the steps of the workflow, which has no
    cycle, were made from. Where one step runs at a time none is in the way of another."""
    steps = {step.id: step for step in workflow.steps}
    files = _Files(parts, {draft.id: draft for draft in drafts if draft.id in steps}, steps)
    files.check_each()
    if files.strict or (workflow.parallel and workflow.max_concurrency != 1):
        files.compare(workflow.pools)


class _Files:
    """All that is said about files, by step and by part."""

    def __init__(self, parts: Sequence[Part], drafts: Mapping[str, Draft], steps: Mapping[str, Step]) -> None:
        self.strict = any(part.r.strict for part in parts)
        self.steps = steps
        self.scope_of = {id: draft.scope for id, draft in drafts.items()}
        self.stream_of = {part.scope: part.stream for part in parts}
        self.whole = {
            part.scope: _scope(part.r, part.sheet.found, None) for part in parts if claims_files(part.sheet.found)
        }
        self.own = {
            id: _scope(draft.r, draft.found, steps[id]) for id, draft in drafts.items() if claims_files(draft.found)
        }

    # --- each by itself ------------------------------------------------------------------------------

    def check_each(self) -> None:
        """Files are created within the scope, and none is claimed that is forbidden."""
        budget = _Budget()
        for scope in (*self.whole.values(), *self.own.values()):
            _check_create(scope, budget)
            _check_forbidden(scope, scope.forbidden, budget)
        for id, scope in self.own.items():
            _check_forbidden(scope, self.whole.get(self.scope_of[id], _silent).forbidden, budget)

    # --- with each other -----------------------------------------------------------------------------

    def compare(self, pools: Mapping[str, int]) -> None:
        streams = {self.stream_of[scope] for scope in self.whole} | {self._stream(id) for id in self.own}
        if not self.own and len(streams) < 2:
            return
        ids = [id for id in self.scope_of if id in self.own or (len(streams) > 1 and self._stream(id) in streams)]
        beside = [~(1 << n) for n in range(len(ids))] if self.strict else together(self.steps, pools, ids)
        if beside is None:
            _give_up(next(said for scope in (*self.whole.values(), *self.own.values()) for said in scope.claimed))
            return
        bits: dict[str, int] = {}
        for n, id in enumerate(ids):
            bits[self._stream(id)] = bits.get(self._stream(id), 0) | 1 << n
        for stream in sorted(streams):
            self._compare_steps(stream, bits.get(stream, 0), ids, beside)
        if len(streams) > 1:
            self._compare_streams(bits, ids, beside)

    def _stream(self, id: str) -> str:
        return self.stream_of.get(self.scope_of[id], "")

    def _compare_steps(self, stream: str, all_bits: int, ids: Sequence[str], beside: Sequence[int]) -> None:
        said = []
        for n, id in enumerate(ids):
            if id in self.own and self._stream(id) == stream:
                owner = _Owner(id, 1 << n, beside[n] & all_bits)
                said += [(owner, one) for one in self.own[id].claimed]
        _tell_meetings("step", said, strict=self.strict)

    def _compare_streams(self, bits: Mapping[str, int], ids: Sequence[str], beside: Sequence[int]) -> None:
        """What the steps of a workstream claim it claims itself; the bits are those of the steps all the same."""
        said = []
        of_scope: dict[str, list[int]] = {}
        for n, id in enumerate(ids):
            of_scope.setdefault(self.scope_of[id], []).append(n)
            stream = self._stream(id)
            owner = _Owner(stream, 1 << n, beside[n] & ~bits[stream])
            said += [(owner, one) for one in self.own.get(id, _silent).claimed]
        for scope, claims in self.whole.items():
            stream, numbers = self.stream_of[scope], of_scope.get(scope, [])
            mine = theirs = 0
            for n in numbers:
                mine |= 1 << n
                theirs |= beside[n]
            said += [(_Owner(stream, mine, theirs & ~bits.get(stream, 0)), one) for one in claims.claimed]
        _tell_meetings("workstream", said, strict=self.strict)


# --- reading ---------------------------------------------------------------------------------------------------------


def _scope(r: Reading, found: Found, step: Step | None) -> _Scope:
    return _Scope(*([said for given in every(found, name) for said in _patterns(r, given, step)] for name in NAMES))


def _patterns(r: Reading, given: Given, step: Step | None) -> list[_Said]:
    found = []
    nodes = given.node.items if isinstance(given.node, Items) else [given.node]
    by_span = {node.span: node for node in nodes}
    for text, span in words(r, given) or ():
        filled = _filled(r, given, text, by_span[span], step)
        if filled is None:
            continue
        if len(filled) > MAX_PATTERN:
            r.error("bad-value", f"a pattern may have at most {MAX_PATTERN:,} characters", span)
            continue
        found.append(_Said(f"{r.base}/{filled}" if r.base and not filled.startswith("/") else filled, r, span))
    return found


def _filled(r: Reading, given: Given, text: str, node: Node, step: Step | None) -> str | None:
    """The pattern with what is known before the run, `matrix` and `item` among it. The items of a `forEach` that are
    not known yet may be anything."""
    if not has_reference(text, r.dollar):
        return text
    if step is not None and step.for_each is not None:
        from stepwave.core.language.interpolate import reference_spans

        for start, end in reversed(reference_spans(text, r.dollar, r.scope.variables)):
            text = f"{text[:start]}*{text[end:]}"
        return text
    around, r.scope = r.scope, r.scope._replace(locals=step.bindings if step else nothing)
    value = resolved(r, Given(given.key, node, node.span), text)
    r.scope = around
    return None if value is None else str(value)


# --- telling ---------------------------------------------------------------------------------------------------------


class _Budget:
    def __init__(self) -> None:
        self.left = MAX_COMPARED

    def spend(self) -> bool:
        self.left -= 1
        return self.left >= 0


def _check_create(scope: _Scope, budget: _Budget) -> None:
    if not scope.scope:
        return
    known = {said.text for said in scope.scope}
    for made in scope.create:
        if made.text in known:
            continue
        lies_within = False
        for around in scope.scope:
            if not budget.spend():
                return
            lies_within = lies_within or _is_within(made.text, around.text)
        if not lies_within:
            message = f"{quoted(made.text)} may be created, but does not lie in `files_scope`"
            made.r.warning("files-outside-scope", message, made.span, "add it to `files_scope`")


def _is_within(inner: str, outer: str) -> bool:
    try:
        return within(inner, outer)
    except TooManySteps:
        return True  # nobody knows, and nothing is told


def _check_forbidden(scope: _Scope, forbidden: Sequence[_Said], budget: _Budget) -> None:
    for no in forbidden:
        for said in scope.claimed:
            if not budget.spend():
                return
            path = _common(said.text, no.text)
            if path is not None:
                message = f"{quoted(said.text)} is claimed, and {quoted(no.text)} forbidden: {quoted(path)} is in both"
                said.r.warning("files-forbidden", message, said.span, "make one of the patterns narrower")
                break


def _common(one: str, other: str) -> str | None:
    try:
        return overlap(one, other)
    except TooManySteps:
        return None


def _tell_meetings(what: str, said: Sequence[tuple[_Owner, _Said]], *, strict: bool) -> None:
    numbers: dict[str, int] = {}
    claims = [
        Claim(one.text, numbers.setdefault(owner.name, len(numbers)), owner.bits, owner.beside) for owner, one in said
    ]
    told = 0
    try:
        for meeting in meetings(claims):
            _tell(what, said, meeting, strict=strict)
            told += 1
            if told == MAX_TOLD:
                return
    except TooManyClaims:
        _give_up(said[0][1])


def _tell(what: str, said: Sequence[tuple[_Owner, _Said]], meeting: Meeting, *, strict: bool) -> None:
    (first, before), (second, here) = said[meeting.first], said[meeting.second]
    names = f"{what}s {quoted(first.name)} and {quoted(second.name)}"
    how = "both claim" if strict else "can run at the same time, and both claim"
    path, pair = quoted(meeting.path), f"{quoted(before.text)} and {quoted(here.text)}"
    if meeting.exact:
        shown = "" if before.text == here.text == meeting.path else f" ({pair})"
        help = "let one depend on the other, or give both the same `conflict_group`"
        here.r.error("files-conflict", f"{names} {how} {path}{shown}", here.span, help)
    else:
        message = f"{names} {how} {path}, if small and capital letters are the same ({pair})"
        here.r.warning("files-similar", message, here.span, "on some systems they are")


def _give_up(said: _Said) -> None:
    message = f"there are too many claims of files to compare them all, of {one_line(said.text, 40)} for one"
    said.r.info("files-unchecked", message, said.span, "name folders instead of single files")
