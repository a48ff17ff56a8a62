"""JSON, and JSON with comments and trailing commas, read into nodes that know their place.

One pass with compiled expressions and a stack of its own: no recursion, linear time. What people take for JSON (Python
dicts and sets, YAML, pieces of a file) is told from mere slips by the `_why_…` functions, which are asked only when
reading cannot go on.
"""

import re

from stepwave.core.diagnostics import info
from stepwave.core.reading.document import Mapping, Node, Scalar, Sequence, Span
from stepwave.core.reading.parse import MAX_DEPTH, MAX_NODES, Source, UnreadableError, shown
from stepwave.core.text import one_line

# Possessive (`*+`) throughout: nothing here can go back over what it has read.
_string = r'"([^"\\\x00-\x1f]*+(?:\\[^\x00-\x1f][^"\\\x00-\x1f]*+)*+)"'
_number = r"(-?(?:0|[1-9][0-9]*+)(\.[0-9]++)?+([eE][-+]?[0-9]++)?+)(?![\w.+])"
_value = re.compile(rf"[ \t\n\r]*+(?:{_string}|{_number}|(true|false|null)(?!\w)|([\[{{]))")
_key = re.compile(rf"[ \t\n\r]*+{_string}[ \t\n\r]*+:")
_key_with_comment = re.compile(rf"{_string}(?:[ \t\n\r]++|//[^\n\r]*+|/\*(?s:.*?)\*/)*+:")
_next = re.compile(r"[ \t\n\r]*+([,\]}])")
_gap = re.compile(r"(?:[ \t\n\r]++|//[^\n\r]*+|/\*(?s:.*?)\*/)*+")
_first_line = re.compile(r"[^\n\r]*")
_escape = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt])|(.))')
_surrogate = re.compile("[\ud800-\udfff]")

_words = {"true": True, "false": False, "null": None}
_escaped = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class _Open:
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
        self.stack: list[_Open] = []
        self.lenient: Span | None = None  # where the first comment or trailing comma stands

    def document(self) -> Node:
        self.skip()
        if self.at == len(self.text):
            raise self.source.fatal("empty-file", "the file is empty", Span(1, 1, 1, 1))
        root = self.tree()
        end = self.at
        self.skip()
        if self.at < len(self.text):
            raise _why_not_over(self.source, end, self.at, root)
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
        self.stack.append(_Open(Sequence([], span) if bracket == "[" else Mapping({}, {}, span), start))
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
                raise _why_no_comma(self.source, end, self.at, top)
        self.at = match.end()
        if match[1] == ",":
            return None if isinstance(parent, Sequence) else self.key()
        if match[1] != top.brackets[1]:
            raise _wrong_bracket(self.source, self.at - 1, top)
        return self.closed()

    def closed(self) -> Node:
        node = self.stack.pop().node
        node.span = Span(*node.span[:2], *self.span(self.at - 1, self.at)[2:])
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
        raise _why_no_value(self.source, self.at, self.stack[-1] if self.stack else None)

    def no_key(self) -> Node:
        raise _why_no_key(self.source, self.at, self.stack[-1])

    def skip(self) -> None:
        """Goes on to the next thing that is neither white space nor a comment."""
        match = _gap.match(self.text, self.at)
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
        while start >= self.line_end:
            self.line += 1
            starts = self.source.starts
            self.line_start = starts[self.line]
            self.line_end = starts[self.line + 1] if self.line + 1 < len(starts) else len(self.text) + 1
        line, before = self.line + 1, self.line_start - 1
        return Span(line, start - before, line, end - before)

    def unescaped(self, raw: str, start: int) -> str:
        """The text that a string means; `start` is the offset of its first character."""
        if "\\" not in raw:
            return raw

        def one(match: re.Match[str]) -> str:
            if match[1]:
                return chr(int(match[1], 16))
            if match[2]:
                return _escaped[match[2]]
            raise _why_no_escape(self.source, start + match.start(), match[3])

        text = _escape.sub(one, raw)
        if not _surrogate.search(text):
            return text
        try:  # two halves written as two escapes are one character
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            message = "half of a surrogate pair stands alone, which is no character"
            self.source.error("lone-surrogate", message, self.source.span(start, start + len(raw)))
            return ""


# ── What is wrong ────────────────────────────────────────────────────────────────────────────────────────────────────

_double_quotes = 'JSON text stands in double quotes: "…"'
_python_words = "JSON writes true, false and null"
_quoted = 'text stands in double quotes: "…"; only true, false, null and numbers go without'
_list_help = "JSON lists are written [..], and their text in double quotes"

# What may stand where a value should: how it begins, the code, the sentence, the help. The first that fits is told.
_not_values = tuple(
    (re.compile(pattern), code, message, help)
    for pattern, code, message, help in (
        (r"'", "json-syntax", "text in single quotes is not JSON", _double_quotes),
        (
            r"[-+]?(?:Infinity|NaN|nan|inf)\b",
            "not-finite",
            "`{}` is not a finite number",
            "put it in quotes if it is text",
        ),
        (r"(?:True|False|None)\b", "json-syntax", "`{}` is Python, not JSON", _python_words),
        (r"undefined\b", "json-syntax", "`{}` is JavaScript, not JSON", "write null, or leave the key out"),
        (
            r"[-+.]?[0-9][-+.\w]*+",
            "json-syntax",
            "`{}` is not a number as JSON writes it",
            "put it in quotes if it is text",
        ),
        (r"[,\]})]", "json-syntax", "a value is missing before `{}`", None),
        (r"\(", "json-syntax", "a list in round brackets is not JSON", _list_help),
        (r"[^\W\d][\w./-]*+", "json-syntax", "the text `{}` has no quotes", _quoted),
    )
)
_yaml_like = re.compile(r"---|- |#|[\w.-]++[ \t]*+:(?:\s|\Z)")
_word = re.compile(r"[\w$.-]++")
_single_quoted = re.compile(r"'(?:[^'\\\n\r]|\\[^\n\r])*+'?")
_braces = re.compile(r"\{[^}\n\r]*+\}")
_whole_string = re.compile(_string)
_string_start = re.compile(r'"[^"\\\x00-\x1f]*+(?:\\[^\x00-\x1f][^"\\\x00-\x1f]*+)*+')


def _fault(source: Source, message: str, start: int, end: int, help: str | None = None) -> UnreadableError:
    return source.fatal("json-syntax", message, source.span(start, min(end, len(source.text))), help)


def _why_anywhere(source: Source, at: int, top: _Open | None) -> UnreadableError | None:
    """What is wrong wherever it stands: the end, an unfinished comment, an ellipsis, a control character."""
    text = source.text
    if at >= len(text):
        start = top.start if top else at
        message = f"the `{top.brackets[0]}` opened here is never closed" if top else "a value is missing"
        return _fault(source, message, start, start + 1)
    if text.startswith("/*", at):
        return _fault(source, "the comment that starts here is never closed", at, at + 2)
    if text.startswith("#", at) and top:
        return _fault(source, "`#` does not start a comment in JSON", at, at + 1, "write // in its place")
    if text.startswith(("...", "…"), at):
        end = at + (1 if text[at] == "…" else 3)
        message = f"`{text[at:end]}` leaves something out, which JSON cannot say"
        return source.fatal("ellipsis", message, source.span(at, end), "write out what the dots stand for")
    if ord(text[at]) < 0x20:
        message = f"the control character U+{ord(text[at]):04X} is not allowed here"
        return source.fatal("control-character", message, source.span(at, at + 1))
    return None


def _why_no_value(source: Source, at: int, top: _Open | None) -> UnreadableError:
    known = _why_anywhere(source, at, top)
    if known:
        return known
    text = source.text
    if text[at] == '"':
        return _why_no_string(source, at)
    if top is None and _yaml_like.match(text, at):
        return _fault(source, "this looks like YAML, not JSON", at, at + 1, "give the file a name that ends in .yaml")
    for begins, code, message, help in _not_values:
        match = begins.match(text, at)
        if match:
            whole = one_line(match[0], 40)
            return source.fatal(code, message.format(whole), source.span(at, match.end()), help)
    return _fault(source, f"{shown(text[at])} cannot begin a value", at, at + 1, _quoted)


def _why_no_key(source: Source, at: int, top: _Open) -> UnreadableError:
    known = _why_anywhere(source, at, top)
    if known:
        return known
    text = source.text
    match = next(
        (found for found in (p.match(text, at) for p in (_whole_string, _single_quoted, _word)) if found), None
    )
    if match is None:
        return _why_no_string(source, at) if text[at] == '"' else _why_no_word(source, at, top)
    after = _gap.match(text, match.end()).end()  # type: ignore[union-attr]  # it matches everywhere
    if text.startswith(":", after):
        word = one_line(match[0].strip("'"), 40)
        return _fault(source, f"key `{word}` is not in double quotes", at, match.end(), _double_quotes)
    if top.is_empty and text.startswith((",", "}"), after):
        return _python_set(source, top.start, match.end())
    return _fault(source, "`:` and a value are missing after this key", at, match.end())


def _why_no_word(source: Source, at: int, top: _Open) -> UnreadableError:
    """Where a key should be stands something that is not even a word."""
    char = source.text[at]
    if top.is_empty and char in "[{(":
        return _python_set(source, top.start, at + 1)
    if char == "]":
        return _wrong_bracket(source, at, top)
    return _fault(source, f"a key in double quotes is expected, not {shown(char)}", at, at + 1)


def _python_set(source: Source, start: int, end: int) -> UnreadableError:
    message = "curly brackets around values without keys are a Python set, not JSON"
    whole = _braces.match(source.text, start)
    return source.fatal("python-set", message, source.span(start, whole.end() if whole else end), _list_help)


def _why_no_comma(source: Source, end: int, at: int, top: _Open) -> UnreadableError:
    """`end` is where the value before ended, `at` where something follows that is neither `,` nor a bracket's end."""
    text = source.text
    known = _why_anywhere(source, at, top)
    if known:
        return known
    if text[at] == ":":
        help = "an object, which has keys, is written {..}" if isinstance(top.node, Sequence) else None
        return _fault(source, "`:` is not expected here", at, at + 1, help)
    if text[end - 1] == '"' and at == end and text[at] != '"':
        help = 'a double quote within a text is written \\"'
        return _fault(source, "the text has ended before this", at, at + 1, help)
    if text[at] in "\"'{[-.+" or text[at].isalnum():
        return _fault(source, "a comma is missing here", end, end, "put a comma between this value and the next")
    return _fault(source, f"`,` or `{top.brackets[1]}` is expected, not {shown(text[at])}", at, at + 1)


def _why_not_over(source: Source, end: int, at: int, root: Node) -> UnreadableError:
    text = source.text
    if text[at] == ":" and isinstance(root, Scalar) and root.quoted:
        message = "this is a piece of an object: the braces around it are missing"
        return _fault(source, message, *_offsets(source, root.span), "wrap the whole text in { }")
    if text[at] in "]})":
        return _fault(source, f"`{text[at]}` closes nothing", at, at + 1)
    if isinstance(root, Scalar) and not root.quoted and text.startswith(":", end):
        return _fault(source, "this looks like YAML, not JSON", at, at + 1, "give the file a name that ends in .yaml")
    help = "several values are written as one list: [.., ..]" if text[at] in "{[,\"'" else None
    return _fault(source, "the file goes on after its value has ended", at, at + 1, help)


def _offsets(source: Source, span: Span) -> tuple[int, int]:
    starts = source.starts
    return starts[span.line - 1] + span.column - 1, starts[span.end_line - 1] + span.end_column - 1


def _wrong_bracket(source: Source, at: int, top: _Open) -> UnreadableError:
    line, _ = source.position(top.start)
    message = f"`{source.text[at]}` does not close the `{top.brackets[0]}` of line {line}"
    return _fault(source, message, at, at + 1, f"is a `{top.brackets[1]}` missing before it?")


def _why_no_string(source: Source, at: int) -> UnreadableError:
    match = _string_start.match(source.text, at)
    end = match.end() if match else at
    if end < len(source.text) and source.text[end] not in "\n\r\\":
        message = f"the control character U+{ord(source.text[end]):04X} is not allowed in a text"
        help = "write \\t" if source.text[end] == "\t" else None
        return source.fatal("control-character", message, source.span(end, end + 1), help)
    return _fault(
        source, "the text that starts here is not closed on its line", at, end, "add the closing double quote"
    )


def _why_no_escape(source: Source, at: int, letter: str) -> UnreadableError:
    if letter == "u":
        return _fault(source, "`\\u` is not followed by four hexadecimal digits", at, at + 2)
    message = f"`\\{one_line(letter)}` is not an escape that JSON knows"
    return _fault(source, message, at, at + 2, "a backslash itself is written \\\\")
