"""What is wrong with a YAML file, in this project's words. Imported only once something is."""

import re

from stepwave.core.reading.document import Span
from stepwave.core.reading.parse import UnreadableError, shown
from stepwave.core.reading.yaml_reader import Reader, quote_braces
from stepwave.core.text import one_line

_indentation = "check the indentation here and on the line before, and put a text that holds `: ` in quotes"
_same_column = "keys, or the `-` of items, begin in one column; a text with quotes or brackets in it stands in quotes"
_backslash = "write \\\\ for a backslash, or use single quotes, in which it stands for itself"
_quote_this = "put a text that begins with {char} in quotes"

# By what PyYAML's two loaders say: whether the place told is that where the trouble began, not where it was noticed;
# the sentence; the help. {char} is the character there, `{line}` the line of the beginning. The first that fits counts.
_explanations = (
    (r"tab character", False, "a tab cannot indent a line in YAML", "indent with spaces"),
    (r"cannot start any token", False, "{char} cannot begin a value", _quote_this),
    (r"mapping values are not allowed", False, "`:` is not allowed here", _indentation),
    (r"sequence entries are not", False, "`-` cannot begin a list here", "begin the list on the next line"),
    (r"could not find expected ':'", True, "`:` is missing after this key", "check the indentation of this line"),
    (r"block mapping", False, "this does not belong to the mapping that begins on line {line}", _same_column),
    (r"block collection", False, "this does not belong to the list that begins on line {line}", _same_column),
    (r"',' or", False, "a comma is missing before this, or the bracket of line {line} is not closed", None),
    (r"node content", False, "{char} is found where a value should be", _quote_this),
    (r"end of stream|separator", True, "the quoted text that starts here is never closed", None),
    (r"scalar.*(?:escape|number)", False, "what follows this backslash is not known to YAML", _backslash),
    (r"an (?:alias|anchor)", True, "{char} must be followed by the name of an anchor", _quote_this),
    (r"block scalar", False, "{char} cannot follow `|` or `>`", "begin the text on the next line"),
    (r"document start", False, "this does not belong to what stands before it", "check the indentation"),
    (r"directive|incompatible", False, "a line that begins with `%` is a directive, and this is none", None),
    (r"\btag\b", True, "this tag cannot be understood", _quote_this),
)
_value_with_braces = re.compile(r"(?:^|[:-])[ \t]+\{\{")


def explained(reader: Reader, problem: Exception) -> UnreadableError:
    """A syntax error of the YAML library in this project's words, at its place."""
    said = one_line(f"{getattr(problem, 'context', None) or ''}: {getattr(problem, 'problem', None) or problem}")
    noticed, began = _position(reader, problem, "problem_mark"), _position(reader, problem, "context_mark")
    place = noticed or began or reader.end
    open_bracket = next((opened.node.span for opened in reversed(reader.stack) if opened.flow), None)
    if open_bracket and place[0] >= reader.line_count and not _character(reader, place):
        return _syntax(reader, "the bracket that opens here is never closed", open_bracket[:2], None)
    for pattern, at_start, message, help in _explanations:
        if re.search(pattern, said):
            place = began if at_start and began else place
            char = _character(reader, place)
            if char == "\t":
                return _syntax(reader, "a tab cannot indent a line in YAML", place, "indent with spaces")
            line = (open_bracket or began or place)[0] if "bracket" in message else (began or place)[0]
            words = {"char": shown(char) if char else "the end of the file", "line": line}
            return _syntax(reader, message.format(**words), place, help.format(**words) if help and char else None)
    return _syntax(reader, said.strip(": ").lower(), place, None)


def _syntax(reader: Reader, message: str, place: tuple[int, int], help: str | None) -> UnreadableError:
    line, column = place
    written = reader.source.lines[line - 1]
    if _value_with_braces.search(written[:10_000]):
        help = quote_braces
    span = Span(line, column, line, min(column + 1, len(written) + 1))
    return reader.source.fatal("yaml-syntax", message, span, help)


def _position(reader: Reader, problem: Exception, which: str) -> tuple[int, int] | None:
    mark = getattr(problem, which, None)
    if mark is None:
        return None
    line, column = reader.written(mark.line + 1, mark.column + 1)
    return line, min(column, len(reader.source.lines[line - 1]) + 1)


def _character(reader: Reader, place: tuple[int, int]) -> str:
    line, column = place
    return reader.source.lines[line - 1][column - 1 : column]
