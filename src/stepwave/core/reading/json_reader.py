"""JSON, and JSON with comments and trailing commas, read into nodes that know their place.

One pass with compiled expressions and a stack of its own: no recursion, linear time. When reading cannot go on,
`json_errors` says why.
"""

import re

from stepwave.core.diagnostics import info
from stepwave.core.reading.document import Mapping, Node, Scalar, Sequence, Span
from stepwave.core.reading.parse import MAX_DEPTH, MAX_NODES, Source, UnreadableError

# Possessive (`*+`) throughout: nothing here can go back over what it has read.
STRING = r'"([^"\\\x00-\x1f]*+(?:\\[^\x00-\x1f][^"\\\x00-\x1f]*+)*+)"'
_number = r"(-?(?:0|[1-9][0-9]*+)(\.[0-9]++)?+([eE][-+]?[0-9]++)?+)(?![\w.+])"
_value = re.compile(rf"[ \t\n\r]*+(?:{STRING}|{_number}|(true|false|null)(?!\w)|([\[{{]))")
_key = re.compile(rf"[ \t\n\r]*+{STRING}[ \t\n\r]*+:")
_key_with_comment = re.compile(rf"{STRING}(?:[ \t\n\r]++|//[^\n\r]*+|/\*(?s:.*?)\*/)*+:")
_next = re.compile(r"[ \t\n\r]*+([,\]}])")
GAP = re.compile(r"(?:[ \t\n\r]++|//[^\n\r]*+|/\*(?s:.*?)\*/)*+")
_first_line = re.compile(r"[^\n\r]*")
_escape = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt])|(.))')
_surrogate = re.compile("[\ud800-\udfff]")

_new = tuple.__new__  # of a span for every word of the file: without the call through Python that a Span(…) is
_words = {"true": True, "false": False, "null": None}
_escaped = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class Open:
    """A list or an object whose end has not been seen; `key` is the one whose value comes next."""

    __slots__ = ("key", "node", "start")

    def __init__(self, node: Sequence | Mapping, start: int) -> None:
        self.node = node
        self.start = start
        self.key = ""

    @property
    def brackets(self) -> str:
        return "[]" if isinstance(self.node, Sequence) else "{}"

    @property
    def is_empty(self) -> bool:
        return not (self.node.items if isinstance(self.node, Sequence) else self.node.keys)


def read_json(source: Source) -> Node | None:
    """The root of the text, or None; findings are added to `source`."""
    reader = _Reader(source)
    try:
        root = reader.document()
        if reader.lenient is not None:
            message = "comments and trailing commas are read, but strict JSON has neither"
            source.add(info("jsonc", message, source.place(reader.lenient)))
    except UnreadableError:
        return None
    return root


class _Reader:
    """`at` is the offset behind what has been read; `line` (from 0) that of the last span, `line_end` where it ends."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.text = source.text
        self.at = 0
        self.line = -1
        self.line_start = self.line_end = 0
        self.count = 0
        self.stack: list[Open] = []
        self.lenient: Span | None = None  # where the first comment or trailing comma stands

    def document(self) -> Node:
        self.skip()
        if self.at == len(self.text):
            raise self.source.fatal("empty-file", "the file is empty", Span(1, 1, 1, 1))
        root = self.tree()
        end = self.at
        self.skip()
        if self.at < len(self.text):
            from stepwave.core.reading.json_errors import why_not_over

            raise why_not_over(self.source, end, self.at, root)
        return root

    def tree(self) -> Node:
        """The value that starts here, with all that is in it."""
        while True:
            node = self.value()
            while node is not None:
                if not self.stack:
                    return node
                node = self.put(node)

    def value(self) -> Node | None:
        """The scalar or the empty list or object that is next; None when something was opened whose content is next."""
        match = _value.match(self.text, self.at)
        if match is None:
            self.skip()
            match = _value.match(self.text, self.at)
            if match is None:
                return self.end_instead_of("[]") or self.no_value()
        self.at = match.end()
        self.count += 1
        kind = match.lastindex or 0
        start = match.start(kind) - (kind == 1)
        span = self.span(start, self.at)
        if self.count > MAX_NODES:
            raise self.source.too_large(span)
        if kind == 1:
            content = self.unescaped(match[1], start + 1)
            return Scalar(content, content, span, True)
        return self.opened(match[6], start, span) if kind == 6 else self.plain(match, span)

    def plain(self, match: re.Match[str], span: Span) -> Scalar:
        if match[5]:
            return Scalar(_words[match[5]], match[5], span)
        text = match[2]
        if match[3] or match[4]:
            return Scalar(self.source.real(text, span), text, span)
        return Scalar(self.source.integer(text, 10, span), text, span)

    def opened(self, bracket: str, start: int, span: Span) -> Node | None:
        if len(self.stack) >= MAX_DEPTH:
            raise self.source.too_deep(span)
        self.stack.append(Open(Sequence([], span) if bracket == "[" else Mapping({}, {}, span), start))
        return self.key() if bracket == "{" else None

    def key(self) -> Node | None:
        """Reads a key and its colon; or the end of the object, which it returns."""
        match = _key.match(self.text, self.at)
        if match is None:
            self.skip()
            match = _key_with_comment.match(self.text, self.at)
            if match is None:
                return self.end_instead_of("{}") or self.no_key()
            self.note_comment(match.end(1), match.end())
        key = self.unescaped(match[1], match.start(1))
        span = self.span(match.start(1) - 1, match.end(1) + 1)
        top = self.stack[-1]
        assert isinstance(top.node, Mapping)
        if key in top.node.keys:
            self.source.duplicate(key, span, top.node.keys[key])
        else:
            top.node.keys[key] = span
        top.key = key
        self.at = match.end()
        return None

    def put(self, node: Node) -> Node | None:
        """Gives a finished node to what it stands in; returns that when it ends here, None when more of it follows."""
        top = self.stack[-1]
        parent = top.node
        if isinstance(parent, Sequence):
            parent.items.append(node)
        else:
            parent.entries[top.key] = node
        end = self.at
        match = _next.match(self.text, end)
        if match is None:
            self.skip()
            match = _next.match(self.text, self.at)
            if match is None:
                from stepwave.core.reading.json_errors import why_no_comma

                raise why_no_comma(self.source, end, self.at, top)
        self.at = match.end()
        if match[1] == ",":
            return None if isinstance(parent, Sequence) else self.key()
        if match[1] != top.brackets[1]:
            from stepwave.core.reading.json_errors import wrong_bracket

            raise wrong_bracket(self.source, self.at - 1, top)
        return self.closed()

    def closed(self) -> Node:
        node = self.stack.pop().node
        self.go_to_line_of(self.at - 1)
        start = node.span
        node.span = _new(Span, (start[0], start[1], self.line + 1, self.at - self.line_start + 1))
        return node

    def end_instead_of(self, brackets: str) -> Node | None:
        """The list or object that ends here, empty or behind a trailing comma."""
        top = self.stack[-1] if self.stack else None
        if top is None or top.brackets != brackets or self.text[self.at : self.at + 1] != brackets[1]:
            return None
        if not top.is_empty:
            comma = self.text.rfind(",", 0, self.at)
            self.lenient = self.lenient or self.source.span(comma, comma + 1)
        self.at += 1
        return self.closed()

    def no_value(self) -> Node:
        from stepwave.core.reading.json_errors import why_no_value

        raise why_no_value(self.source, self.at, self.stack[-1] if self.stack else None)

    def no_key(self) -> Node:
        from stepwave.core.reading.json_errors import why_no_key

        raise why_no_key(self.source, self.at, self.stack[-1])

    def skip(self) -> None:
        """Goes on to the next thing that is neither white space nor a comment."""
        match = GAP.match(self.text, self.at)
        assert match is not None
        self.note_comment(self.at, match.end())
        self.at = match.end()

    def note_comment(self, start: int, end: int) -> None:
        """Remembers the first comment: `start` to `end` is white space and comments."""
        slash = -1 if self.lenient else self.text.find("/", start, end)
        if slash >= 0:
            comment = _first_line.match(self.text, slash, end)
            self.lenient = self.source.span(slash, comment.end() if comment else end)

    def span(self, start: int, end: int) -> Span:
        """The span of a piece of one line, which does not come before the last one that was asked for."""
        if start >= self.line_end:
            self.go_to_line_of(start)
        line, before = self.line + 1, self.line_start - 1
        return _new(Span, (line, start - before, line, end - before))

    def go_to_line_of(self, at: int) -> None:
        starts = self.source.starts
        while at >= self.line_end:
            self.line += 1
            self.line_start = starts[self.line]
            self.line_end = starts[self.line + 1] if self.line + 1 < len(starts) else len(self.text) + 1

    def unescaped(self, raw: str, start: int) -> str:
        """The text that a string means; `start` is the offset of its first character."""
        if "\\" not in raw:
            return raw

        def one(match: re.Match[str]) -> str:
            if match[1]:
                return chr(int(match[1], 16))
            if match[2]:
                return _escaped[match[2]]
            from stepwave.core.reading.json_errors import why_no_escape

            raise why_no_escape(self.source, start + match.start(), match[3])

        text = _escape.sub(one, raw)
        if not _surrogate.search(text):
            return text
        try:  # two halves written as two escapes are one character
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            message = "half of a surrogate pair stands alone, which is no character"
            self.source.error("lone-surrogate", message, self.source.span(start, start + len(raw)))
            return ""
