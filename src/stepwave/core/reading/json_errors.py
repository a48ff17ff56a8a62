"""What is wrong with a JSON file, in this project's words. Imported only once something is.

What people take for JSON (Python dicts and sets, YAML, pieces of a file) is told from mere slips.
"""

import re

from stepwave.core.reading.document import Node, Scalar, Sequence, Span
from stepwave.core.reading.json_reader import GAP, STRING, Open
from stepwave.core.reading.parse import Source, UnreadableError, shown
from stepwave.core.text import one_line

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
_whole_string = re.compile(STRING)
_string_start = re.compile(r'"[^"\\\x00-\x1f]*+(?:\\[^\x00-\x1f][^"\\\x00-\x1f]*+)*+')


def _fault(source: Source, message: str, start: int, end: int, help: str | None = None) -> UnreadableError:
    return source.fatal("json-syntax", message, source.span(start, min(end, len(source.text))), help)


def _why_anywhere(source: Source, at: int, top: Open | None) -> UnreadableError | None:
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


def why_no_value(source: Source, at: int, top: Open | None) -> UnreadableError:
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


def why_no_key(source: Source, at: int, top: Open) -> UnreadableError:
    known = _why_anywhere(source, at, top)
    if known:
        return known
    text = source.text
    match = next(
        (found for found in (p.match(text, at) for p in (_whole_string, _single_quoted, _word)) if found), None
    )
    if match is None:
        return _why_no_string(source, at) if text[at] == '"' else _why_no_word(source, at, top)
    after = GAP.match(text, match.end()).end()  # type: ignore[union-attr]  # it matches everywhere
    if text.startswith(":", after):
        word = one_line(match[0].strip("'"), 40)
        return _fault(source, f"key `{word}` is not in double quotes", at, match.end(), _double_quotes)
    if top.is_empty and text.startswith((",", "}"), after):
        return _python_set(source, top.start, match.end())
    return _fault(source, "`:` and a value are missing after this key", at, match.end())


def _why_no_word(source: Source, at: int, top: Open) -> UnreadableError:
    """Where a key should be stands something that is not even a word."""
    char = source.text[at]
    if top.is_empty and char in "[{(":
        return _python_set(source, top.start, at + 1)
    if char == "]":
        return wrong_bracket(source, at, top)
    return _fault(source, f"a key in double quotes is expected, not {shown(char)}", at, at + 1)


def _python_set(source: Source, start: int, end: int) -> UnreadableError:
    message = "curly brackets around values without keys are a Python set, not JSON"
    whole = _braces.match(source.text, start)
    return source.fatal("python-set", message, source.span(start, whole.end() if whole else end), _list_help)


def why_no_comma(source: Source, end: int, at: int, top: Open) -> UnreadableError:
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


def why_not_over(source: Source, end: int, at: int, root: Node) -> UnreadableError:
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


def wrong_bracket(source: Source, at: int, top: Open) -> UnreadableError:
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


def why_no_escape(source: Source, at: int, letter: str) -> UnreadableError:
    if letter == "u":
        return _fault(source, "`\\u` is not followed by four hexadecimal digits", at, at + 2)
    message = f"`\\{one_line(letter)}` is not an escape that JSON knows"
    return _fault(source, message, at, at + 2, "a backslash itself is written \\\\")
