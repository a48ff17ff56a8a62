"""From the bytes of a file to a `Document`, or to the reasons why not.

Rule 1: whatever the bytes are, `parse` returns and never raises; its time and memory are bounded by the limits below.
Rule 2: a document that is returned is a tree that may be walked as a tree, by recursion: its depth is at most
        `MAX_DEPTH` and its size, every alias expanded, at most `MAX_NODES` and `MAX_ALIASED` together.
Rule 3: every span lies inside the text, whose lines are what `lines` says they are.
Rule 4: nothing is read, imported or fetched because a file says so.

The two readers are imported when they are needed: a JSON file does not pay for YAML.
"""

import gc
import re
from array import array
from bisect import bisect_right
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Sequence
from functools import cached_property
from itertools import chain

from stepwave.core.diagnostics import Diagnostic, Place, Severity, error, has_errors, warning
from stepwave.core.reading.document import Document, Node, Span, Syntax
from stepwave.core.text import one_line, plural

MAX_BYTES = 16 << 20
"""The largest file that is looked at."""
MAX_DEPTH = 100
"""Nesting of lists and mappings. Later stages walk the tree by recursion, some with several frames a level."""
MAX_NODES = 1_000_000
"""Lists, mappings and values written in one file; keys are not counted."""
MAX_ALIASED = 200_000
"""Nodes that the aliases of a YAML file may add to those written."""
MAX_ALIASED_CHARACTERS = 16 << 20
"""Text that the aliases of a YAML file may add to what is written."""
MAX_NUMBER = 500
"""Characters of a number. Python can be told to refuse decimal numbers of more than 640 digits, not fewer."""
MAX_ERRORS = 1000
"""Findings in one file, after which reading stops."""

Shifts = dict[int, tuple[int, int]]
"""By line (from 1): the width of its indentation once tabs are two spaces, and how many columns that has added."""

_line_end = re.compile(r"\r\n|\n|\r")


def lines(text: str) -> list[str]:
    """The lines of a text, without their ends, as every span counts them: split at CR LF, LF and CR only.

    A text that ends in a newline has an empty last line, so that the end of the file is a place as well.
    """
    return _line_end.split(text)


def shown(character: str) -> str:
    """A character for a message: itself in backticks, or its number where it could not be seen."""
    if character.isprintable() and not character.isspace() and character != "`":
        return f"`{character}`"
    return f"U+{ord(character):04X}"


class UnreadableError(Exception):
    """Reading cannot go on; the reason is in `Source.found`. Does not leave this module."""


class Source:
    """A text that is being read, and what has been found wrong with it so far."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self.found: list[Diagnostic] = []

    @cached_property
    def starts(self) -> Sequence[int]:
        """The offset at which each line starts; packed, because a file may be nothing but newlines."""
        return array("q", chain((0,), (match.end() for match in _line_end.finditer(self.text))))

    @cached_property
    def lines(self) -> list[str]:
        return lines(self.text)

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column, counted from 1, of an offset into the text."""
        line = bisect_right(self.starts, offset)
        return line, offset - self.starts[line - 1] + 1

    def span(self, start: int, end: int) -> Span:
        """The span of `text[start:end]`."""
        return Span(*self.position(start), *self.position(max(start, end)))

    def place(self, span: Span) -> Place:
        return Place(self.path, *span)

    def add(self, finding: Diagnostic) -> None:
        """Notes a finding; raises `UnreadableError` when there are so many that nobody would read on."""
        self.found.append(finding)
        if len(self.found) >= MAX_ERRORS:
            raise UnreadableError

    def error(self, code: str, message: str, span: Span, help: str | None = None) -> None:
        self.add(error(code, message, self.place(span), help))

    def fatal(self, code: str, message: str, span: Span, help: str | None = None) -> UnreadableError:
        """Notes the error and returns what is to be raised."""
        self.found.append(error(code, message, self.place(span), help))
        return UnreadableError()

    def too_deep(self, span: Span) -> UnreadableError:
        return self.fatal("too-deep", f"lists and mappings are nested more than {MAX_DEPTH} levels deep", span)

    def too_large(self, span: Span) -> UnreadableError:
        return self.fatal("too-many-values", f"the file holds more than {MAX_NODES:,} values", span)

    def duplicate(self, key: str, span: Span, first: Span, help: str | None = None) -> None:
        self.error("duplicate-key", f"key `{one_line(key, 80)}` is already set on line {first.line}", span, help)

    def integer(self, text: str, base: int, span: Span) -> int:
        """The number as written in that base; an error and 0 when it is too long."""
        return 0 if self._too_long(text, span) else int(text, base)

    def real(self, text: str, span: Span) -> float:
        """The number; an error and 0.0 when it is too long or not finite."""
        if self._too_long(text, span):
            return 0.0
        value = float(text)
        if value - value == 0.0:
            return value
        self.not_finite(text, span)
        return 0.0

    def _too_long(self, text: str, span: Span) -> bool:
        if len(text) <= MAX_NUMBER:
            return False
        self.error(
            "number-too-long",
            f"a number of {len(text):,} characters is more than can be read",
            span,
            "put it in quotes if it is meant as text",
        )
        return True

    def not_finite(self, text: str, span: Span) -> None:
        message = f"`{one_line(text, 40)}` is not a finite number"
        self.error("not-finite", message, span, "put it in quotes if it is meant as text")


def parse(data: bytes, path: str, syntax: Syntax | None = None) -> tuple[Document | None, list[Diagnostic]]:
    """The document in `data`, and what is to be said about it. The document is None exactly when there is an error.

    `path` is only a name: nothing is read from disk. Without `syntax` its extension decides: `.json` is JSON (with
    comments and trailing commas if need be), `.yml` and `.yaml` are YAML, anything else is tried as JSON, then as YAML.
    """
    source = Source(path, "")
    try:
        source = Source(path, _decode(source, data))
    except UnreadableError:
        return None, source.found
    syntax = syntax or _syntax_of(path)
    return _parse_as(source, syntax) if syntax else _parse_either(source)


def _syntax_of(path: str) -> Syntax | None:
    name = path.lower()
    if name.endswith(".json"):
        return Syntax.JSON
    return Syntax.YAML if name.endswith((".yml", ".yaml")) else None


def _parse_as(source: Source, syntax: Syntax) -> tuple[Document | None, list[Diagnostic]]:
    collecting = gc.isenabled()
    gc.disable()  # a tree is built and nothing let go: looking for garbage meanwhile takes a third of the time
    try:
        root, found = _read_json(source) if syntax is Syntax.JSON else _read_yaml(source)
    finally:
        if collecting:
            gc.enable()
    if root is None or has_errors(found):
        return None, found
    return Document(source.path, source.text, syntax, root), found


def _parse_either(source: Source) -> tuple[Document | None, list[Diagnostic]]:
    """As JSON, or else as YAML; where it is neither, whichever it looks like has the word."""
    document, found = _parse_as(source, Syntax.JSON)
    reasons = {finding.code for finding in found if finding.severity is Severity.ERROR}
    if document or not reasons <= {"json-syntax", "control-character"}:
        return document, found
    other, other_found = _parse_as(Source(source.path, source.text), Syntax.YAML)
    if other or not source.text.lstrip().startswith(("{", "[", '"', "/")):
        return other, other_found
    return None, found


def _read_json(source: Source) -> tuple[Node | None, list[Diagnostic]]:
    from stepwave.core.reading.json_reader import read_json

    return read_json(source), source.found


def _read_yaml(source: Source) -> tuple[Node | None, list[Diagnostic]]:
    """As it is; where that fails, with the tabs that indent it as two spaces each."""
    from stepwave.core.reading.yaml_reader import read_yaml

    root = read_yaml(source, source.text, {})
    first = _syntax_error(source)
    fixed = untab(source.text) if first and "\t" in source.text else source.text
    if fixed == source.text:
        return root, source.found
    again = Source(source.path, source.text)
    shifts = _shifts(source.lines, lines(fixed))
    root = read_yaml(again, fixed, shifts)
    second = _syntax_error(again)
    if first and second and second.place == first.place:  # the tabs were not what is wrong
        return None, source.found
    return root, [_tab_indent(source, shifts), *again.found]


def _syntax_error(source: Source) -> Diagnostic | None:
    return next((finding for finding in source.found if finding.code == "yaml-syntax"), None)


def _shifts(written: list[str], read: list[str]) -> Shifts:
    """How columns have moved, for each line in which a tab was replaced."""
    return {
        number: (len(new) - len(new.lstrip(" ")), len(new) - len(old))
        for number, (old, new) in enumerate(zip(written, read, strict=True), 1)
        if len(old) != len(new)
    }


def _tab_indent(source: Source, shifts: Shifts) -> Diagnostic:
    number = min(shifts)
    line = source.lines[number - 1]
    span = Span(number, 1, number, len(line) - len(line.lstrip(" \t")) + 1)
    message = f"YAML forbids tab indentation; read as 2 spaces on {plural(len(shifts), 'line')}"
    return warning("tab-indent", message, source.place(span), "fix with `stepwave validate --fix`")


_encodings = (("utf-8", BOM_UTF8), ("utf-16-le", BOM_UTF16_LE), ("utf-16-be", BOM_UTF16_BE))


def _decode(source: Source, data: bytes) -> str:
    start = Span(1, 1, 1, 1)
    if len(data) > MAX_BYTES:
        message = f"the file has more than {MAX_BYTES:,} bytes, which are not read"
        raise source.fatal("file-too-large", message, start, "is this really a workflow file?")
    encoding, mark = next((known for known in _encodings if data.startswith(known[1])), ("utf-8", b""))
    body = data[len(mark) :]
    try:
        return body.decode(encoding)
    except UnicodeDecodeError as problem:
        good = body[: problem.start].decode(encoding)
        end = Source(source.path, good).span(len(good), len(good))
        message = f"byte 0x{body[problem.start]:02x} does not belong in {encoding[:6].upper().rstrip('-')} text"
        raise source.fatal("not-utf8", message, end, "save the file as UTF-8") from None


_line_with_end = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+")
_indent = re.compile(r"[ \t]*")
# The line that opens a block scalar, such as `- run: |`, `text: >-` or `key: !!str |2  # why`.
# The key may hold a `#`, but not one behind white space: there a comment begins.
_block_opens = re.compile(
    r"""(?P<indent>[ \t]*) (?P<dashes>(?:---[ \t]+)?(?:[-?][ \t]+)*+)
        (?P<key>(?:[^ \t\r\n#]\#*|[ \t](?!\#))*:[ \t]+)?
        (?:[!&][^ \t\r\n]*[ \t]+)* [|>][-+0-9]{0,2} [ \t]*(?:(?<=[ \t])\#[^\r\n]*)?[\r\n]*\Z""",
    re.VERBOSE,
)


def untab(text: str) -> str:
    """The YAML text with each tab that indents a line replaced by two spaces.

    Of a block scalar only the indentation of the block is replaced: a tab that belongs to its content stays.
    """
    return "".join(_untabbed(_line_with_end.findall(text)))


def _untabbed(all_lines: list[str]) -> list[str]:
    result: list[str] = []
    floor: int | None = None  # inside a block scalar: the column that its lines lie to the right of
    own: str | None = None  # … and the white space that indents its first line
    for line in all_lines:
        indent = _indent.match(line)[0]  # type: ignore[index]  # it matches everywhere
        blank = len(indent) == len(line.rstrip("\r\n"))
        if floor is not None and not blank and _width(indent) <= floor:
            floor = None
        if floor is None:
            floor, own = _block_floor(line), None
        elif own is None and not blank:
            own = indent
        elif own is not None and line.startswith(own):
            indent = own
        result.append(indent.replace("\t", "  ") + line[len(indent) :])
    return result


def _block_floor(line: str) -> int | None:
    """The column that the content of the block scalar opened by this line is to the right of; None if it opens none."""
    if len(line) > 1000 or ("|" not in line and ">" not in line):  # no longer one is meant as one
        return None
    opens = _block_opens.match(line)
    if opens is None:
        return None
    if line.startswith("---"):
        return -1
    dashes = opens["dashes"] if opens["key"] else opens["dashes"].rstrip()[:-1]
    return _width(opens["indent"]) + len(dashes)


def _width(indent: str) -> int:
    return len(indent) + indent.count("\t")
