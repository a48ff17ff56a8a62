"""YAML read into nodes that know their place.

PyYAML's events are taken one by one and never composed: its C composer overflows the stack on nested brackets, its
Python one recurses, and neither keeps what was written. Plain scalars are resolved here by the core schema of YAML 1.2,
so `no`, `22:22` and `1_000` stay text. What aliases add is counted as if it were written out, because whoever walks the
tree later meets it that often.
"""

import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

from stepwave.core.reading.document import Mapping, Node, Scalar, Sequence, Span
from stepwave.core.reading.parse import (
    MAX_ALIASED,
    MAX_ALIASED_CHARACTERS,
    MAX_DEPTH,
    MAX_NODES,
    Shifts,
    Source,
    UnreadableError,
)
from stepwave.core.text import one_line

_null_words = dict.fromkeys(("", "~", "null", "Null", "NULL"))
_bool_words = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_words: dict[str, bool | None] = {**_null_words, **_bool_words}
_may_begin_no_text = frozenset("-+.0123456789~nNtTfF")
_number = re.compile(
    r"""(?P<int>[-+]?[0-9]+) | 0o(?P<oct>[0-7]+) | 0x(?P<hex>[0-9a-fA-F]+)
      | (?P<real>[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)
      | [-+]?\.(?:inf|Inf|INF) | \.(?:nan|NaN|NAN)""",
    re.VERBOSE,
)
# What YAML's "printable" leaves out; said this way round, because a negated set of this size takes 4 ms to compile.
_unprintable = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_surrogate = re.compile("[\ud800-\udfff]")
_tag_prefix = "tag:yaml.org,2002:"
_scalar_tags: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "null": (type(None),),
}
_max_directives = 100  # libyaml compares each with every other
quote_braces = "put a value that begins with {{ in quotes"


def read_yaml(source: Source, text: str, shifts: Shifts) -> Node | None:
    """The root of `text`, or None; findings are added to `source`, whose own text differs in indentation at most.

    `shifts` says how columns of the one are columns of the other.
    """
    try:
        text, restore = _one_kind_of_newline(_checked(source, text))
        reader = Reader(source, shifts, restore)
        reader.read(text)
    except UnreadableError:
        return None
    return reader.root


def _checked(source: Source, text: str) -> str:
    bad = None if text.isascii() and text.isprintable() else _unprintable.search(text)
    if bad:
        message = f"the character U+{ord(bad[0]):04X} is not allowed in YAML"
        raise source.fatal("control-character", message, source.span(bad.start(), bad.end()))
    if text.count("\n%TAG") > _max_directives:
        raise source.fatal("yaml-syntax", "the file has too many directives", Span(1, 1, 1, 1))
    return text


def _one_kind_of_newline(text: str) -> tuple[str, dict[int, str]]:
    """NEL, LS and PS end a line for libyaml, but neither in YAML 1.2 nor in an editor: others stand in for them.

    Returns the text, and the table that turns the content of a scalar back.
    """
    table: dict[int, str] = {}
    private = (chr(code) for code in chain(range(0xE000, 0xF900), range(0xF0000, 0xFFFFE)))
    for newline in "\x85\u2028\u2029":
        if newline in text:
            stand_in = next(character for character in private if character not in text)
            text = text.replace(newline, stand_in)
            table[ord(stand_in)] = newline
    return text, table


class _Anchored:
    """What an anchor names, and what an alias to it adds. Not `complete` while it is being read."""

    __slots__ = ("characters", "complete", "height", "node", "nodes")

    def __init__(self, node: Node, nodes: int, characters: int, complete: bool) -> None:
        self.node = node
        self.height = 0
        self.nodes = nodes
        self.characters = characters
        self.complete = complete


class _Open:
    """A list or a mapping whose end has not been seen. `key` is the one whose value comes next, or None."""

    __slots__ = ("anchored", "flow", "height", "key", "merge", "merged", "node")

    def __init__(self, node: Sequence | Mapping, flow: bool) -> None:
        self.node = node
        self.flow = flow
        self.key: str | None = None
        self.height = 1
        self.anchored: _Anchored | None = None
        self.merge = False  # the value that comes next is that of `<<`
        self.merged: tuple[Node, Span] | None = None


class Reader:
    def __init__(self, source: Source, shifts: Shifts, restore: dict[int, str]) -> None:
        self.source = source
        self.shifts = shifts
        self.restore = restore
        self.line_count = 1 + sum(source.text.count(end) for end in ("\n", "\r")) - source.text.count("\r\n")
        self.root: Node | None = None
        self.stack: list[_Open] = []
        self.anchors: dict[str, _Anchored] = {}
        self.count = self.aliased = self.aliased_characters = 0
        self.documents = 0
        self.end = (1, 1)  # behind the last scalar, alias or bracket: there the block collections around it end as well

    def read(self, text: str) -> None:
        """Reads all of the text; raises UnreadableError where that is not possible."""
        import yaml

        loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        take = {
            yaml.ScalarEvent: self.scalar,
            yaml.SequenceStartEvent: self.start_sequence,
            yaml.MappingStartEvent: self.start_mapping,
            yaml.SequenceEndEvent: self.finish,
            yaml.MappingEndEvent: self.finish,
            yaml.AliasEvent: self.alias,
            yaml.DocumentStartEvent: self.start_document,
        }
        events: Iterator[Any] = yaml.parse(text, Loader=loader)
        try:
            for event in events:
                act = take.get(type(event))
                if act:
                    act(event)
        except (
            yaml.YAMLError,
            ValueError,
            OverflowError,
        ) as problem:  # the last two: Python's own loader, `"\UFFFFFFFF"`
            from stepwave.core.reading.yaml_errors import explained

            raise explained(self, problem) from None
        if self.root is None or self.is_nothing(self.root):
            raise self.source.fatal("empty-file", "the file is empty", Span(1, 1, 1, 1))

    def is_nothing(self, root: Node) -> bool:
        return isinstance(root, Scalar) and not root.text and not root.quoted

    def start_document(self, event: Any) -> None:
        self.documents += 1
        if self.documents > 1:
            message = "a second YAML document begins here; a workflow file holds one"
            raise self.source.fatal("several-documents", message, self.span(event))

    # ── Places ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def span(self, event: Any) -> Span:
        start, end = event.start_mark, event.end_mark
        span = Span(start.line + 1, start.column + 1, end.line + 1, end.column + 1)
        if self.shifts or span.end_line > self.line_count:
            return Span(*self.written(*span[:2]), *self.written(*span[2:]))
        return span

    def written(self, line: int, column: int) -> tuple[int, int]:
        """Where a line and column of the text that is read lie in the text as written; never outside of it."""
        if line > self.line_count:  # libyaml puts the end of the file there
            return self.line_count, len(self.source.lines[-1]) + 1
        if line in self.shifts:
            indent, added = self.shifts[line]
            column = column - added if column > indent else min(column, indent - added + 1)
        return line, column

    def block_span(self, span: Span) -> Span:
        """The span of a block scalar without the blank lines behind it."""
        if span.end_column > 1 or span.end_line == span.line:
            return span
        line = span.end_line - 1
        while line > span.line and not self.source.lines[line - 1].strip():
            line -= 1
        return Span(span.line, span.column, line, len(self.source.lines[line - 1]) + 1)

    # ── Scalars ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def scalar(self, event: Any) -> None:
        span, style, text = self.span(event), event.style, event.value
        if style:
            if style in "|>":
                span = self.block_span(span)
            elif not text.isascii() and _surrogate.search(text):  # only Python's own loader lets it pass
                self.source.error("lone-surrogate", "half of a surrogate pair is no character", span)
        if self.restore:
            text = text.translate(self.restore)
        self.end = span[2:]
        top = self.stack[-1] if self.stack else None
        if top is not None and top.key is None and type(top.node) is Mapping:
            if event.anchor:
                self.anchors[event.anchor] = _Anchored(Scalar(text, text, span, True), 1, len(text), True)
            self.put_key(top, text, span, not style and event.tag is None)
            return
        self.count_one(span)
        node = Scalar(text if style and not event.tag else self.value(event, text, span), text, span, bool(style))
        if event.anchor:
            self.anchors[event.anchor] = _Anchored(node, 1, len(text), True)
        self.put(node, 0, span)

    def value(self, event: Any, text: str, span: Span) -> bool | int | float | str | None:
        tag: str | None = event.tag
        if tag is None:
            return self.resolved(text, span)
        if tag in ("!", _tag_prefix + "str"):
            return text
        types = _scalar_tags.get(tag.removeprefix(_tag_prefix))
        if types is None:
            self.unsupported_tag(tag, span)
            return None
        value = self.resolved(text, span)
        if type(value) not in types:
            message = f"`{one_line(text, 40)}` is not what its tag `{_shown_tag(tag)}` says"
            self.source.error("tag-mismatch", message, span)
        return float(value) if float in types and isinstance(value, int) else value

    def resolved(self, text: str, span: Span) -> bool | int | float | str | None:
        """What a plain scalar means in YAML 1.2."""
        if text and text[0] not in _may_begin_no_text:
            return text
        if text in _words:
            return _words[text]
        match = _number.fullmatch(text)
        if match is None:
            return text
        if match["real"]:
            return self.source.real(text, span)
        base = {"int": 10, "oct": 8, "hex": 16}.get(match.lastgroup or "")
        if base:
            return self.source.integer(text, base, span)
        self.source.not_finite(text, span)
        return None

    def unsupported_tag(self, tag: str, span: Span) -> None:
        message = f"tag `{_shown_tag(tag)}` is not supported"
        self.source.error("unsupported-tag", message, span, "put a text that begins with `!` in quotes")

    # ── Lists, mappings and aliases ──────────────────────────────────────────────────────────────────────────────────

    def start_sequence(self, event: Any) -> None:
        span = self.span(event)
        self.open(event, _Open(Sequence([], span), event.flow_style), "seq")

    def start_mapping(self, event: Any) -> None:
        span = self.span(event)
        self.open(event, _Open(Mapping({}, {}, span), event.flow_style), "map")

    def open(self, event: Any, opened: _Open, tag: str) -> None:
        span = opened.node.span
        if len(self.stack) >= MAX_DEPTH:
            raise self.source.too_deep(span)
        if event.tag not in (None, "!", _tag_prefix + tag):
            self.unsupported_tag(event.tag, span)
        if event.anchor:  # what is counted so far is taken off again in `finish`
            before = -self.count - self.aliased, -self.aliased_characters - event.start_mark.index
            opened.anchored = self.anchors[event.anchor] = _Anchored(opened.node, *before, False)
        self.count_one(span)
        self.stack.append(opened)

    def finish(self, event: Any) -> None:
        top = self.stack.pop()
        if top.flow:
            self.end = self.span(event)[2:]
        if top.merged:
            self.merge(top, *top.merged)
        node = top.node
        node.span = Span(*node.span[:2], *self.end)
        if top.anchored:
            top.anchored.nodes += self.count + self.aliased
            top.anchored.characters += event.end_mark.index + self.aliased_characters
            top.anchored.height = top.height
            top.anchored.complete = True
        self.put(node, top.height, node.span)

    def alias(self, event: Any) -> None:
        span = self.span(event)
        self.end = span[2:]
        known = self.anchors.get(event.anchor)
        name = one_line(event.anchor, 40)
        if known is None:
            help = f"put a text that begins with `*` in quotes, or define the anchor `&{name}` before this"
            self.source.error("unknown-anchor", f"`*{name}` refers to an anchor that is not defined", span, help)
            known = _Anchored(Scalar(None, "", span), 1, 0, True)
        if not known.complete:
            raise self.source.fatal("recursive-anchor", f"`*{name}` stands within what `&{name}` names", span)
        self.aliased += known.nodes
        self.aliased_characters += known.characters
        if self.aliased > MAX_ALIASED or self.aliased_characters > MAX_ALIASED_CHARACTERS:
            message = f"written out, the aliases of this file come to more than {MAX_ALIASED:,} values"
            if self.aliased <= MAX_ALIASED:
                message = (
                    f"written out, the aliases of this file come to more than {MAX_ALIASED_CHARACTERS:,} characters"
                )
            raise self.source.fatal("alias-bomb", message, span)
        if len(self.stack) + known.height > MAX_DEPTH:
            raise self.source.too_deep(span)
        self.put(known.node, known.height, span)

    def count_one(self, span: Span) -> None:
        self.count += 1
        if self.count > MAX_NODES:
            raise self.source.too_large(span)

    def put(self, node: Node, height: int, span: Span) -> None:
        """Gives a node to what it stands in; `span` is where it stands there."""
        if not self.stack:
            self.root = node
            return
        top = self.stack[-1]
        if height + 1 > top.height:
            top.height = height + (not top.merge)  # what is merged takes the place of its entries' parent
        if isinstance(top.node, Sequence):
            top.node.items.append(node)
        elif top.key is None:
            self.put_node_as_key(top, node, span)
        else:
            if top.merge:
                top.merged, top.merge = (node, span), False
            else:
                top.node.entries[top.key] = node
            top.key = None

    def put_node_as_key(self, top: _Open, node: Node, span: Span) -> None:
        if isinstance(node, Scalar):
            self.put_key(top, node.text, span, False)
            return
        top.key = ""
        line = self.source.lines[span.line - 1]
        templated = "{{" in (line[span.column - 1 :][:2], line[: span.column][-2:])
        kind = "a list" if isinstance(node, Sequence) else "a mapping"
        help = quote_braces if templated else "write text before the `:`"
        self.source.error("key-not-text", f"{kind} cannot be a key", span, help)

    def put_key(self, top: _Open, key: str, span: Span, plain: bool) -> None:
        assert isinstance(top.node, Mapping)
        first = top.node.keys.setdefault(key, span)
        top.key = key
        if plain and key == "<<":
            top.merge = True
        if first is not span:
            help = "merge several mappings with `<<: [*one, *other]`" if top.merge else None
            self.source.duplicate(key, span, first, help)

    def merge(self, top: _Open, node: Node, span: Span) -> None:
        """Adds the entries of the mappings that `<<` names; those of the mapping itself win, then those named first."""
        own = top.node
        assert isinstance(own, Mapping)
        named = node.items if isinstance(node, Sequence) else [node]
        entries: dict[str, Node] = {}
        keys: dict[str, Span] = {}
        for mapping in reversed(named):
            if not isinstance(mapping, Mapping):
                self.source.error("merge-not-mapping", "`<<` takes a mapping or a list of mappings", span)
                return
            entries.update(mapping.entries)
            keys.update(mapping.keys)
        del own.keys["<<"]
        own.entries = {**entries, **own.entries}
        own.keys = {**keys, **own.keys}


def _shown_tag(tag: str) -> str:
    return one_line("!!" + tag.removeprefix(_tag_prefix) if tag.startswith(_tag_prefix) else tag, 60)
