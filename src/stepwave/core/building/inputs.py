"""`inputs` and `outputs`: the files that a step reads and makes, as patterns; and whether who reads what another step
makes waits for it."""

import posixpath
import re
from collections.abc import Container, Iterator, Sequence
from collections.abc import Mapping as Map
from typing import TYPE_CHECKING, NamedTuple

from stepwave.core.building.cycles import not_upstream
from stepwave.core.building.fields import Found, Given, Reading, every, flag, one, quoted, text
from stepwave.core.building.fields_many import template, words
from stepwave.core.building.overlaps import Claim, TooManyClaims, meetings
from stepwave.core.language.scope import ExpressionError, Unresolved
from stepwave.core.model import Step
from stepwave.core.reading.document import Mapping, Node, Scalar, Span
from stepwave.core.reading.document import Sequence as Items

if TYPE_CHECKING:
    from stepwave.core.building.graph import Graph
    from stepwave.core.building.step import Draft

MAX_PATTERN = 1_000
"""Characters of one pattern."""
MAX_TOLD = 100
"""Steps that read without waiting and are told."""


def files_of(r: Reading, step: str, found: Found) -> tuple[tuple[str, ...] | None, tuple[str, ...], bool]:
    """What a step says of its files: `inputs`, `outputs` and `keep_outputs` of `Step`."""
    read = _patterns(r, found, "inputs", step)
    made = _patterns(r, found, "outputs", step)
    made += [text for text in _patterns(r, found, "provides", step) if is_file(text)]
    keep = one(r, found, "keepOutputs", flag) is True
    if keep and not made:
        given = found["keepOutputs"]
        r.warning("ignored-key", f"`{given.key}` has no effect in a step without `outputs`", given.span)
    return tuple(dict.fromkeys(read)) if "inputs" in found else None, tuple(dict.fromkeys(made)), keep


def is_file(text: str) -> bool:
    """Whether an entry of `provides`, which may also be a name of something else, speaks of files."""
    return any(sign in text for sign in "/.*?[") or "{{" in text or "${" in text


def _patterns(r: Reading, found: Found, name: str, step: str) -> list[str]:
    """The patterns as written; their references are kept for the check."""
    texts: list[str] = []
    for given in every(found, name):
        if isinstance(given.node, Mapping):
            words(r, given)  # tells what is wrong
            continue
        for node in _nodes(given):
            value = node.value if isinstance(node, Scalar) else None
            if not isinstance(value, str) or not _is_usual(value):
                value = _checked(r, given, node)
            if value is not None:
                texts.append(value)
                if "{" in value:
                    template(r, step, value, node)
    return texts


_is_usual = re.compile(r"[^\s\0][^\0]{0,900}\Z").match


def _checked(r: Reading, given: Given, node: Node) -> str | None:
    """A pattern that is odd at first sight; None once that is told."""
    value = text(r, Given(given.key, node, node.span))
    if value is not None and not value.strip():
        r.error("bad-value", f"`{given.key}` must not hold an empty text", node.span, "`.` is the whole folder")
        return None
    if value is not None and len(value) > MAX_PATTERN:
        r.error("bad-value", f"a pattern may have at most {MAX_PATTERN:,} characters", node.span)
        return None
    return value


def _nodes(given: Given) -> Sequence[Node]:
    return given.node.items if isinstance(given.node, Items) else (given.node,)


# --- who reads what another one makes --------------------------------------------------------------------------------


class _Said(NamedTuple):
    """A pattern of a step, from the folder of the workflow on, and as it is written."""

    step: str
    text: str
    written: str
    is_wild: bool


_Meeting = tuple[_Said, _Said, str]
"""Who reads, who makes, and a path of both."""
_Drafts = Map[str, "Draft"]


def check_traffic(drafts: Sequence["Draft"], steps: Map[str, Step], graph: "Graph") -> None:
    """A step that reads what another one makes waits for it, or that is told. The graph has no cycle."""
    known = {draft.id: draft for draft in drafts if draft.id in steps}
    read = [said for id, draft in known.items() for said in _said(draft, steps[id], steps[id].inputs or ())]
    made = [said for id, draft in known.items() for said in _said(draft, steps[id], steps[id].outputs)]
    if not read or not made:
        return
    pairs: dict[tuple[str, str], tuple[_Said, str]] = {}
    for reader, maker, path in (*_plainly(read, made), *_by_pattern(read, made, known)):
        if reader.step != maker.step and steps[reader.step].stage is steps[maker.step].stage:
            pairs.setdefault((reader.step, maker.step), (reader, path))
    if pairs:
        _tell(pairs, not_upstream(graph.needs, pairs), known)


def _tell(pairs: Map[tuple[str, str], tuple[_Said, str]], astray: Container[tuple[str, str]], drafts: _Drafts) -> None:
    told: set[tuple[Span, str]] = set()
    for (reader, maker), (said, path) in pairs.items():
        if (reader, maker) not in astray or len(told) == MAX_TOLD:
            continue
        r, span = drafts[reader].r, _span(drafts[reader], said.written)
        if (span, maker) not in told:
            told.add((span, maker))
            message = (
                f"step {quoted(reader)} reads {quoted(path)}, which {quoted(maker)} makes, but does not wait for it"
            )
            r.warning("not-upstream", message, span, f"add {quoted(maker)} to `dependsOn`")


def _span(draft: "Draft", written: str) -> Span:
    """Where an input stands."""
    for given in every(draft.found, "inputs"):
        for node in _nodes(given):
            if isinstance(node, Scalar) and node.value == written:
                return node.span
    return draft.span


def _said(draft: "Draft", step: Step, patterns: Sequence[str]) -> Iterator[_Said]:
    """What is known of the patterns before the run."""
    base = draft.r.base
    for written in patterns:
        text = _filled(draft, step, written) if "{" in written else written
        if text is None:
            continue
        if base and not text.startswith("/"):
            text = f"{base}/{text}"
        wild = _has_wildcards(text) is not None
        yield _Said(step.id, posixpath.normpath(text) if not wild and _is_crooked(text) else text, written, wild)


_is_crooked = re.compile(r"(?:\A|/)\.|//|/\Z").search
_has_wildcards = re.compile(r"[*?\[]").search


def _filled(draft: "Draft", step: Step, text: str) -> str | None:
    """None: it hangs on what a step brings."""
    from stepwave.core.language.interpolate import fill

    scope = draft.r.scope._replace(locals=step.bindings)
    try:
        return fill(text, scope, dollar=draft.r.dollar)
    except (ExpressionError, Unresolved):
        return None


def _plainly(read: Sequence[_Said], made: Sequence[_Said]) -> Iterator[_Meeting]:
    """Those without wildcards: the same file, or one below a folder that the other names."""
    makers = _by_path(made)
    read = [reader for reader in read if not reader.is_wild]
    wanted = {reader.text for reader in read}
    below: dict[str, list[_Said]] = {}
    for path, ones in makers.items():
        for folder in wanted.intersection(_folders(path)):
            below.setdefault(folder, []).extend(ones)
    for reader in read:
        for path in (reader.text, *_folders(reader.text)):
            yield from ((reader, maker, reader.text) for maker in makers.get(path, ()))
        yield from ((reader, maker, maker.text) for maker in below.get(reader.text, ()))


def _by_path(made: Sequence[_Said]) -> dict[str, list[_Said]]:
    found: dict[str, list[_Said]] = {}
    for maker in made:
        if not maker.is_wild:
            found.setdefault(maker.text, []).append(maker)
    return found


def _folders(path: str) -> Iterator[str]:
    """The folders around it, the nearest first; `.` is that of the workflow."""
    end = path.rfind("/")
    while end > 0:
        yield path[:end]
        end = path.rfind("/", 0, end)
    if end < 0 and path not in (".", ".."):
        yield "."


def _by_pattern(read: list[_Said], made: list[_Said], drafts: _Drafts) -> Iterator[_Meeting]:
    """Those of which at least one has wildcards."""
    wild = [said for said in read if said.is_wild]
    if wild:
        yield from _meet(wild, made, drafts)
    wild = [said for said in made if said.is_wild]
    if wild:
        yield from _meet([said for said in read if not said.is_wild], wild, drafts)


def _meet(read: list[_Said], made: list[_Said], drafts: _Drafts) -> Iterator[_Meeting]:
    """By the search that also finds claims of the same files: to it, readers and makers are two parties."""
    if not read or not made:
        return
    owners = {id: n for n, id in enumerate(dict.fromkeys(said.step for said in (*read, *made)))}
    claims = [Claim(said.text, 2 * owners[said.step], 1, 2) for said in read]
    claims += [Claim(said.text, 2 * owners[said.step] + 1, 2, 1) for said in made]
    everything = (*read, *made)
    try:
        for meeting in meetings(claims):
            first, second = sorted((meeting.first, meeting.second))
            if meeting.exact:
                yield everything[first], everything[second], meeting.path
    except TooManyClaims:
        draft = drafts[read[0].step]
        message = "there are too many patterns to find out who reads what another step makes"
        help = "name files, or folders of their own for each step"
        draft.r.info("files-unchecked", message, _span(draft, read[0].written), help)
