r"""Text with references in it: `{{…}}` everywhere, `${…}` where a dialect has it.

Rule 1: what a reference brings is never read again, neither as a reference nor as shell: one text stays one text.
Rule 2: what is not ours stays: an unclosed `{{`, `${HOME}`, `$(date)`. `\{{` and `$${` are the signs themselves.
Rule 3: the values put into one text have at most `MAX_TEXT` characters together.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple

from stepwave.core.language.evaluate import BUDGET, evaluate
from stepwave.core.language.expressions import compile_part
from stepwave.core.language.scope import VARIABLE_ROOTS, ExpressionError, Path, Scope, Unresolved, has_reference
from stepwave.core.language.shell_quoting import MARK, Spot, forms, refusals, spots
from stepwave.core.language.tree import Call, Constant, Expression, Reference, uses_status
from stepwave.core.language.values import MAX_TEXT, BadArgument, text_of, weight
from stepwave.core.model import Value, nothing

MAX_ERRORS = 20
MAX_ENV_BYTES = 120_000
"""Linux takes no environment string of 128 KiB or more."""


class Insert(NamedTuple):
    """One reference, written at `text[start:end]`.

    `needs`: when this path has no value, the reference is none and its text stays (`${HOME}` belongs to the shell).
    `lenient`: a name without a value is empty text (`${env.CI == 'true'}`).
    """

    expression: Expression
    start: int
    end: int
    needs: tuple[str, ...] = ()
    lenient: bool = False


def text_references(text: str, dollar: bool = False, declared: Collection[str] = ()) -> frozenset[tuple[str, ...]]:
    """Every path that the text refers to; see `expressions.references`. What cannot be parsed is left out.

    `${NAME}` counts only when it is one of the `declared` variables: any other is the shell's.
    """
    inserts = _inserts(text, dollar, declared)
    return frozenset(path for insert in inserts for path in insert.expression.references)


def reference_spans(text: str, dollar: bool = False, declared: Collection[str] = ()) -> list[tuple[int, int]]:
    """Start and end of every reference, braces included; those that cannot be parsed too. See `text_references`."""
    return [(insert.start, insert.end) for insert in _inserts(text, dollar, declared)]


def check_text(text: str, dollar: bool = False) -> list[ExpressionError]:
    """What is wrong with the references, in order, the first 20; offsets count from the start of the text."""
    problems: list[ExpressionError] = []
    for _ in _pieces(text, dollar, report=problems.append):
        if len(problems) >= MAX_ERRORS:
            break
    return problems


def check_shell(text: str, dollar: bool = False) -> list[ExpressionError]:
    """As `check_text`, and what `fill_shell` would refuse whatever the values."""
    problems = check_text(text, dollar)
    if problems:
        return problems
    inserts = list(_inserts(text, dollar, (), shell=True))
    ends = [0, *(insert.end for insert in inserts)]
    starts = [*(insert.start for insert in inserts), len(text)]
    between = [text[end:start].replace(MARK, " ") for end, start in zip(ends, starts, strict=True)]
    where = zip(spots(MARK.join(between)), inserts, strict=True)
    return [ExpressionError(refusals[s.quoting], insert.start) for s, insert in where if s.quoting in refusals]


def fill(text: str, scope: Scope, *, dollar: bool = False, lenient: bool = False) -> str:
    """The text with its references replaced; how each kind of value is written says `values.text_of`.

    Raises Unresolved and ExpressionError.
    """
    if not has_reference(text, dollar):
        return text
    parts = _filled(text, scope, dollar, lenient)
    return "".join(part if isinstance(part, str) else part[1] for part in parts)


def value_of(text: str, scope: Scope, *, dollar: bool = False, lenient: bool = False) -> Value:
    """A text that is one reference and nothing else keeps the type of its value; any other is filled.

    `${env.X}` without a value is Unresolved here, not left for the shell; its default is text. Raises as `fill`.
    """
    if not has_reference(text, dollar):
        return text
    pieces = [piece for piece in _pieces(text, dollar) if piece != ""]
    insert = pieces[0] if len(pieces) == 1 else ""
    if isinstance(insert, str):
        return fill(text, scope, dollar=dollar, lenient=lenient)
    if insert.needs and insert.needs[0] != "env" and not _is_ours(insert, scope):
        return text
    return evaluate(insert.expression, scope, lenient=lenient or insert.lenient)


def value_in(value: Value, scope: Scope, *, dollar: bool = False, lenient: bool = False) -> Value:
    """The value with each of its texts replaced by its `value_of`, in lists and in the values of objects too.

    What the references bring weighs at most `evaluate.BUDGET`. Raises as `value_of`.
    """
    left = BUDGET

    def settled(item: Value) -> Value:
        nonlocal left
        if isinstance(item, list):
            return [settled(part) for part in item]
        if isinstance(item, dict):
            return {key: settled(part) for key, part in item.items()}
        if not isinstance(item, str) or not has_reference(item, dollar):
            return item
        brought = value_of(item, scope, dollar=dollar, lenient=lenient)
        left -= weight(brought)
        if left < 0:
            raise ExpressionError("the references bring too much text")
        return brought

    return settled(value)


def asks_status(text: str, dollar: bool = False) -> bool:
    """Whether a reference of the text asks `success()`, `failure()` or `always()`."""
    return any(uses_status(insert.expression) for insert in _inserts(text, dollar, ()))


def fill_shell(
    text: str,
    scope: Scope,
    *,
    prefix: str = "STEPWAVE_REF_",
    dollar: bool = False,
    lenient: bool = False,
    held: Mapping[str, str] = nothing,
) -> tuple[str, dict[str, str]]:
    """Shell text in which every reference is the expansion of an environment variable, and those variables.

    `held` maps values to variables that hold them already and serve in place of new ones, unless the text itself speaks
    of them: it might change them.

    The values never stand in the text, and each stays one word. What a command of the text does with its words is its
    own affair: `eval {{x}}` and `sh -c {{x}}` run code. Where the shell does arithmetic only whole numbers are let in.
    Raises Unresolved, and ExpressionError also for places that expand nothing and for values that no variable can hold.
    """
    if not has_reference(text, dollar):
        return text, {}
    if MARK in text:
        raise ExpressionError("shell text cannot hold a NUL character", text.index(MARK))
    parts = list(_filled(text, scope, dollar, lenient, shell=True))
    where = iter(spots("".join(part if isinstance(part, str) else MARK for part in parts)))
    own = " ".join(part for part in parts if isinstance(part, str))
    known = {value: name for value, name in held.items() if not _may_change(name, own)}
    names = dict(known)
    done = [part if isinstance(part, str) else _expansion(*part, next(where), names, prefix) for part in parts]
    return "".join(done), {name: value for value, name in names.items() if value not in known}


def _may_change(name: str, text: str) -> bool:
    """Whether shell text does more with a variable than to expand it."""
    return name in re.sub(rf"\$(?:{name}\b|\{{{name}\}})", "", text)


# --- one reference ---------------------------------------------------------------------------------------


def _filled(
    text: str, scope: Scope, dollar: bool, lenient: bool, shell: bool = False
) -> Iterator[str | tuple[Insert, str]]:
    room = MAX_TEXT
    for piece in _pieces(text, dollar, shell=shell):
        if isinstance(piece, str):
            yield piece
        elif not _is_ours(piece, scope):
            yield text[piece.start : piece.end]
        else:
            shown = _shown(piece, scope, lenient)
            room -= len(shown)
            if room < 0:
                raise ExpressionError("the text would be longer than 1 MiB", piece.start)
            yield piece, shown


def _is_ours(insert: Insert, scope: Scope) -> bool:
    if not insert.needs:
        return True
    try:
        scope.lookup(insert.needs)
    except Unresolved:
        return False
    return True


def _shown(insert: Insert, scope: Scope, lenient: bool) -> str:
    try:
        return text_of(evaluate(insert.expression, scope, lenient=lenient or insert.lenient))
    except BadArgument as problem:
        raise ExpressionError(str(problem), insert.start) from None


def _expansion(insert: Insert, value: str, spot: Spot, names: dict[str, str], prefix: str) -> str:
    """The shell text for one value; `names` gains it. Equal values share a name, so that many references stay few."""
    if spot.quoting in refusals:
        raise ExpressionError(refusals[spot.quoting], insert.start)
    if spot.number and not re.fullmatch(r"\s*[-+]?[0-9]+\s*", value):
        help = "the shell does arithmetic here, and would run what it takes for code"
        raise ExpressionError("the value must be a whole number here", insert.start, help)
    if MARK in value:
        raise ExpressionError("the value holds a NUL character, which no variable can", insert.start)
    try:
        size = len(value.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        raise ExpressionError("the value holds half a character, which no variable can", insert.start) from None
    if size > MAX_ENV_BYTES:
        raise ExpressionError("the value is too long for an environment variable", insert.start)
    return forms[spot.quoting] % names.setdefault(value, f"{prefix}{len(names) + 1}")


# --- finding them --------------------------------------------------------------------------------------------

# Of an odd number of braces the first is itself: `{{{x}}}` is `{`, the value of x, `}`.
_marks = re.compile(r"\\\{\{|\{\{(?!\{(?!\{))")
_dollar_marks = re.compile(_marks.pattern + r"|\$\$\{|\$\{(?!\{)")
_dollar = re.compile(r"\$\{(?P<path>[A-Za-z_]\w*(?:\.[\w-]+)*)(?::-(?P<fallback>[^{}]*))?\}")
_escape_help = r"for the braces themselves write `\{{`"


def _throw(problem: ExpressionError) -> None:
    raise problem


def _inserts(text: str, dollar: bool, declared: Collection[str], *, shell: bool = False) -> Iterator[Insert]:
    if not has_reference(text, dollar):
        return
    for piece in _pieces(text, dollar, report=lambda problem: None, shell=shell):
        if isinstance(piece, Insert) and (piece.needs[:1] in ((), ("env",)) or piece.needs[1] in declared):
            yield piece


def _pieces(
    text: str, dollar: bool, *, report: Callable[[ExpressionError], None] = _throw, shell: bool = False
) -> Iterator[str | Insert]:
    """The text cut at its references. Once a problem is reported, an empty reference stands for what cannot be read."""
    marks = _dollar_marks if dollar else _marks
    last = text.rfind("}}")
    at = 0
    while mark := marks.search(text, at):
        yield text[at : mark.start()]
        at = mark.end()
        if mark[0] == "{{" and at <= last:
            insert = _braces(text, at, report)
            at = insert.end
            yield insert
        elif mark[0] == "${" and not (shell and _is_escaped(text, mark.start())):
            found = _in_dollar(text, mark.start(), report)
            at = found.end if found else at
            yield found or mark[0]
        else:
            yield mark[0][1:] if len(mark[0]) == 3 else mark[0]
    yield text[at:]


def _is_escaped(text: str, at: int) -> bool:
    before = text[max(0, at - 100) : at]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 1


def _braces(text: str, at: int, report: Callable[[ExpressionError], None]) -> Insert:
    try:
        expression, end = compile_part(text, at, "}}")
    except ExpressionError as problem:
        problem.help = f"{problem.help}; {_escape_help}" if problem.help else _escape_help
        report(problem)
        return _unreadable(text, at - 2, max(problem.offset, at), "}}")
    return Insert(expression, at - 2, end)


def _unreadable(text: str, start: int, at: int, closer: str) -> Insert:
    end = text.find(closer, at)
    return Insert(Expression(Constant("")), start, len(text) if end < 0 else end + len(closer))


def _in_dollar(text: str, start: int, report: Callable[[ExpressionError], None]) -> Insert | None:
    """`${NAME}`, `${NAME:-default}`, and the same with `env.NAME`, which may also be compared; else None."""
    if match := _dollar.match(text, start):
        return _named(match)
    if not text.startswith("${env.", start):
        return None
    try:
        expression, end = compile_part(text, start + 2, "}")
    except ExpressionError as problem:
        report(problem)
        return _unreadable(text, start, max(problem.offset, start + 2), "}")
    return Insert(expression, start, end, lenient=True)


def _named(match: re.Match[str]) -> Insert:
    path: Path = tuple(match["path"].split("."))
    rooted = len(path) > 1 and path[0] in ("env", *VARIABLE_ROOTS)
    names = tuple(str(part) for part in (path if rooted else ("variables", *path)))
    reference = Reference(names, match.start())
    if match["fallback"] is None:
        return Insert(Expression(reference), match.start(), match.end(), needs=names)
    node = Call("default", (reference, Constant(match["fallback"])), match.start())
    return Insert(Expression(node), match.start(), match.end(), needs=() if names[0] == "env" else names)
