"""Reading one node as what its key promises, with a diagnostic where it is something else.

Rule 1  A reader that returns None has reported an error: no value is made up from a wrong one.
Rule 2  Nothing is raised for what a file says, and nothing is printed of it but short, harmless words.
Rule 3  Looking for what was meant costs time that grows with the file, so it is paid from a budget.
"""

from collections.abc import Callable, Collection
from typing import NamedTuple, TypeVar

from stepwave.core.building.means import Means
from stepwave.core.building.means import none as no_means
from stepwave.core.diagnostics import Diagnostic, Place, error, info, nearest, warning
from stepwave.core.language.scope import ExpressionError, Unresolved, Values, has_reference
from stepwave.core.model import Value
from stepwave.core.reading.document import Document, Mapping, Node, Scalar, Sequence, Span, kind
from stepwave.core.reading.env_file import EnvFiles
from stepwave.core.reading.keys import Keys, later_help
from stepwave.core.reading.units import Unit
from stepwave.core.text import one_line

T = TypeVar("T")


Path = tuple[str, ...]
"""What a reference names: ("steps", "build", "output")."""


class Given(NamedTuple):
    """A value and the key it stood under, written with its path (`config.timeout`).

    `more` holds what else says the same thing under another key.
    """

    key: str
    node: Node
    span: Span
    more: tuple["Given", ...] = ()


Found = dict[str, Given]
"""What a mapping holds, by canonical name (see `stepwave.core.reading.keys`)."""


class Template(NamedTuple):
    """Text that may hold references, to be checked once all steps are known. `step` is "" for the workflow's own.

    `paths` is what it refers to, where that is known already; `shell`: a shell reads it. `known` are names that stand
    for something in this text alone, such as `matrix` and `item`.
    """

    step: str
    text: str
    node: Node
    shell: bool = False
    paths: tuple[Path, ...] | None = None
    known: frozenset[str] = frozenset()


class Reading:
    """What every reader needs to know of the file, and the diagnostics so far.

    `unit` is what a bare number means under a key that does not say; None: the file mixes two families. There is one
    for each file; those of one workflow share `found` and the budget. `base` is the folder of the file, relative to
    that of the workflow ("" is the same one), or absolute; `folder` is that of the workflow, `around` the same as
    people write it. `prefix` is what the ids of its steps begin with, `files` what other files hold that it names (see
    `stepwave.core.reading.sources`).
    """

    def __init__(self, document: Document, scope: Values, unit: Unit | None, *, dollar: bool, strict: bool) -> None:
        self.document = document
        self.scope = scope
        self.unit = unit
        self.dollar = dollar
        self.strict = strict
        self.base = ""
        self.folder = "."
        self.around = ""
        self.prefix = ""
        self.files: EnvFiles = {}
        self.is_program: Callable[[str], bool] = lambda word: False
        self.means: Means = no_means
        self.shelved: dict[Place, object] = {}
        self.found: list[Diagnostic] = []
        self.templates: list[Template] = []
        self._budget = [30_000]

    def beside(self, document: Document, unit: Unit | None, *, dollar: bool, base: str) -> "Reading":
        """For another file of the same workflow; its scope is that of this one until it is given its own."""
        other = Reading(document, self.scope, unit, dollar=dollar, strict=self.strict)
        other.base, other.folder, other.means, other.shelved = base, self.folder, self.means, self.shelved
        other.around, other.prefix = self.around, self.prefix
        other.files, other.is_program = self.files, self.is_program
        other.found, other._budget = self.found, self._budget
        return other

    def shown(self, path: str) -> str:
        """A path from the folder of the workflow on, as people know it."""
        return f"{self.around}/{path}" if self.around and not path.startswith("/") else path

    def error(self, code: str, message: str, span: Span, help: str | None = None) -> None:
        self.found.append(error(code, message, self.document.place(span), help))

    def warning(self, code: str, message: str, span: Span, help: str | None = None) -> None:
        self.found.append(warning(code, message, self.document.place(span), help))

    def info(self, code: str, message: str, span: Span, help: str | None = None) -> None:
        self.found.append(info(code, message, self.document.place(span), help))

    def later(self, key: str, span: Span) -> None:
        """`key` is in the format, but nothing here carries it out: a run is refused, the rest is checked."""
        message = f"`{key}` is known, but this version of stepwave cannot run it"
        self.warning("not-built-yet", message, span, later_help.get(key.rpartition(".")[2]))

    def suggestion(self, word: str, candidates: Collection[str]) -> str | None:
        """What was probably meant, as long as the budget lasts."""
        self._budget[0] -= len(candidates)
        return nearest(word, candidates) if self._budget[0] >= 0 else None

    def did_you_mean(self, word: str, candidates: Collection[str]) -> str | None:
        near = self.suggestion(word, candidates)
        return f"did you mean `{one_line(near)}`?" if near else None


def quoted(text: str) -> str:
    """A word of the file in backticks, short and harmless."""
    return f"`{one_line(text, 80)}`"


def start_of(span: Span, offset: int = 0, length: int = 1) -> Span:
    """A few characters of a longer range, on its first line."""
    return Span(span.line, span.column + offset, span.line, span.column + offset + length)


# --- mappings --------------------------------------------------------------------------------------------------------


def gather(r: Reading, mapping: Mapping, keys: Keys, into: Found, prefix: str = "") -> None:
    """Sorts the entries of a mapping by canonical name; reports keys that are unknown or not built yet.

    A key without a value (`name:`) is as if it were not there, except a timeout: null says that there is none.
    """
    leads, inside = keys.leads, keys.inside
    for key, node in mapping.entries.items():
        span = mapping.keys[key]
        if key in inside and isinstance(node, Mapping):
            gather(r, node, inside[key], into, f"{prefix}{key}.")
            continue
        name = leads.get(key)
        if name is None:
            _other(r, key, node, span, keys, prefix)
        elif not is_null(node) or name.endswith("timeout"):
            given = Given(prefix + key, node, span)
            first = into.setdefault(name, given)
            if first is not given:
                into[name] = first._replace(more=(*first.more, given))


def _other(r: Reading, key: str, node: Node, span: Span, keys: Keys, prefix: str) -> None:
    if key in keys.passive or key.startswith(("_", "x-")):
        return
    if key in keys.later:
        if not is_empty(node):
            r.later(prefix + key, span)
    elif key in keys.inside:
        if not is_null(node):
            wrong_type(r, Given(prefix + key, node, span), "a mapping")
    else:
        unknown_key(r, key, span, keys)


def unknown_key(r: Reading, key: str, span: Span, keys: Keys) -> None:
    """A near miss of a known key is an error: a lost `dependson` would be a lost order."""
    # Of two spellings that are equally near the last one is taken: that of the dialect.
    near = r.suggestion(key, sorted(keys.meant, key=lambda known: ("_" in known) == r.dollar))
    message = f"{keys.what} has no key {quoted(key)}"
    if near:
        r.error("unknown-key", message, span, f"did you mean `{near}`?")
    else:
        report = r.error if r.strict else r.warning
        report("unknown-key", message, span, "begin it with `x-` if it is a note of your own")


def one(r: Reading, found: Found, name: str, read: Callable[[Reading, Given], T | None]) -> T | None:
    """The value under a canonical name, read; given twice it must be the same both times. None: absent, or wrong."""
    first = found.get(name)
    if first is None:
        return None
    value = read(r, first)
    for other in first.more:
        second = read(r, other)
        if value is None or second is None:
            value = value if second is None else second
        elif value == second:
            r.warning("redundant-key", f"`{other.key}` only repeats `{first.key}`", other.span, "take one away")
        else:
            conflict(r, first, other)
    return value


def every(found: Found, name: str) -> tuple[Given, ...]:
    """All that stands under a canonical name."""
    first = found.get(name)
    return (first, *first.more) if first else ()


def conflict(r: Reading, first: Given, other: Given) -> None:
    message = f"`{other.key}` says something else than `{first.key}`"
    r.error("conflicting-keys", message, other.span, "take one of them away")


def is_empty(node: Node) -> bool:
    """null, false, 0, "", [] and {}."""
    if isinstance(node, Scalar):
        return not node.value
    return not (node.items if isinstance(node, Sequence) else node.entries)


def is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None


def wrong_type(r: Reading, given: Given, expected: str, help: str | None = None) -> None:
    message = f"`{given.key}` must be {expected}, not {kind(given.node)}"
    if isinstance(given.node, Scalar) and "${" in given.node.text and not r.dollar:
        help = "in this dialect a reference is written `{{…}}`"
    r.error("wrong-type", message, given.node.span, help)


# --- references in fields that are needed now -----------------------------------------------------------------------


def inside_text(node: Node, offset: int, length: int = 1) -> Span:
    """Where character `offset` of a scalar's value stands in the file; the whole scalar when that cannot be told."""
    span = node.span
    if not isinstance(node, Scalar) or not isinstance(node.value, str) or span.line != span.end_line:
        return span
    if not node.value:
        return span
    quotes = span.end_column - span.column - len(node.value)
    if quotes not in (0, 2) or not 0 <= offset <= len(node.value):  # escapes or a block scalar
        return span
    room = max(1, min(length, len(node.value) - offset))
    return start_of(span, offset + quotes // 2, room)


def bad_expression(r: Reading, node: Node, problem: ExpressionError) -> None:
    r.error("bad-expression", problem.message, inside_text(node, problem.offset), problem.help)


def resolved(r: Reading, given: Given, text: str) -> Value:
    """The value of a text with references, from the variables and the environment; None once it is reported."""
    from stepwave.core.language.interpolate import text_references, value_of

    try:
        if any(path and path[0] == "steps" for path in text_references(text, r.dollar)):
            message = f"`{given.key}` is needed before anything runs, but refers to what a step will bring"
            r.error("known-too-late", message, given.node.span, "use a variable or the environment")
            return None
        value = value_of(text, r.scope, dollar=r.dollar)
    except Unresolved as problem:
        r.error("unknown-variable", problem.message, inside_text(given.node, problem.offset), problem.help)
        return None
    except ExpressionError as problem:
        bad_expression(r, given.node, problem)
        return None
    if value is None or value == text:
        r.error("unknown-variable", f"{quoted(text)} has no value", given.node.span)
        return None
    return value


def settled(r: Reading, given: Given) -> Value | Node:
    """A scalar's value with its references filled in; a list or mapping as it is; None once it is reported."""
    node = given.node
    if not isinstance(node, Scalar):
        return node
    if isinstance(node.value, str) and has_reference(node.value, dollar=r.dollar):
        return resolved(r, given, node.value)
    return node.value


def is_filled(r: Reading, given: Given) -> bool:
    value = given.node.value if isinstance(given.node, Scalar) else None
    return isinstance(value, str) and has_reference(value, dollar=r.dollar)


# --- one value -------------------------------------------------------------------------------------------------------


def text(r: Reading, given: Given) -> str | None:
    """Text as it stands: references stay for the run."""
    node = given.node
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        help = f'write "{one_line(node.text, 40)}" in quotes' if isinstance(node, Scalar) else None
        wrong_type(r, given, "text", help)
        return None
    return clean(r, given.key, node.value, node.span)


def clean(r: Reading, key: str, value: str, span: Span) -> str | None:
    """No NUL: the operating system cannot pass one on."""
    if "\0" in value:
        r.error("bad-text", f"`{key}` must not hold a NUL character", span)
        return None
    return value


def scalar_text(r: Reading, given: Given) -> str | None:
    """A text, number or boolean as it was written: `1.10` stays `1.10`."""
    node = given.node
    if not isinstance(node, Scalar) or node.value is None:
        wrong_type(r, given, "text or a number")
        return None
    value = node.value if isinstance(node.value, str) else node.text
    return clean(r, given.key, value, node.span)


def flag(r: Reading, given: Given) -> bool | None:
    value = settled(r, given)
    if isinstance(value, bool):
        return value
    if is_filled(r, given) and value in ("true", "false"):  # the environment knows only text
        return value == "true"
    if value is not None or is_null(given.node):
        yes_no = {"yes": "true", "on": "true", "no": "false", "off": "false", "true": "true", "false": "false"}
        plain = yes_no.get(value.lower()) if isinstance(value, str) else None
        wrong_type(r, given, "true or false", f"write `{plain}`, without quotes" if plain else None)
    return None


def whole(r: Reading, given: Given, least: int = 0, most: int = 2**31 - 1) -> int | None:
    """An integer, or an expression that gives one."""
    value = settled(r, given)
    if is_filled(r, given) and isinstance(value, str):
        value = _number(value)
    if isinstance(value, float) and value.is_integer() and is_filled(r, given):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        if value is not None or is_null(given.node):
            wrong_type(r, given, "a whole number")
        return None
    return in_range(r, given, value, least, most)


def _number(value: str) -> Value:
    stripped = value.strip()
    return int(stripped) if stripped.isascii() and stripped.isdigit() and len(stripped) < 20 else value


def in_range(r: Reading, given: Given, value: int, least: int, most: int) -> int | None:
    if least <= value <= most:
        return value
    bound = f"at least {least}" if value < least else f"at most {most}"
    r.error("out-of-range", f"`{given.key}` must be {bound}", given.node.span)
    return None


def count(r: Reading, given: Given) -> int | None:
    """An integer from 1."""
    return whole(r, given, 1)


AUTO = 0


def width(r: Reading, given: Given) -> int | None:
    """A number of steps at a time; `AUTO` for "auto"."""
    value = settled(r, given)
    if value == "auto" and isinstance(value, str):
        return AUTO
    if isinstance(value, str) and not is_filled(r, given):
        wrong_type(r, given, 'a whole number or "auto"')
        return None
    return None if value is None else whole(r, given, 1)


def choice(r: Reading, given: Given, allowed: dict[str, T]) -> T | None:
    """One of a few words."""
    value = text(r, given)
    if value is None:
        return None
    if value in allowed:
        return allowed[value]
    words = ", ".join(f"`{word}`" for word in allowed)
    help = r.did_you_mean(value, allowed)
    r.error("bad-value", f"`{given.key}` must be one of {words}, not {quoted(value)}", given.node.span, help)
    return None
