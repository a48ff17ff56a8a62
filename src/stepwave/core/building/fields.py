"""Reading one node as what its key promises, with a diagnostic where it is something else.

Rule 1  A reader that returns None has reported an error: no value is made up from a wrong one.
Rule 2  Nothing is raised for what a file says, and nothing is printed of it but short, harmless words.
Rule 3  Looking for what was meant costs time that grows with the file, so it is paid from a budget.
"""

from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple, TypeVar

from stepwave.core.building.means import Means
from stepwave.core.building.means import none as no_means
from stepwave.core.diagnostics import Diagnostic, Place, error, info, nearest, warning
from stepwave.core.language.scope import ExpressionError, Unresolved, Values, has_reference
from stepwave.core.model import Secret, Value
from stepwave.core.reading.document import Document, Mapping, Node, Scalar, Sequence, Span, kind
from stepwave.core.reading.env_file import EnvFiles
from stepwave.core.reading.keys import Keys
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
    `stepwave.core.reading.sources`). `secrets` are those that have been declared so far, and whether in full;
    `secret_names` the variables of the caller's environment that are none for a text that is filled in at once.
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
        self.secret_names: frozenset[str] = frozenset()
        self.private: set[str] = set()
        self.secrets: dict[str, tuple[Secret, bool]] = {}
        self.unread: set[str] = set()
        self.found: list[Diagnostic] = []
        self.templates: list[Template] = []
        self._budget = [30_000]
        self._lines: list[str] | None = None

    def beside(self, document: Document, unit: Unit | None, *, dollar: bool, base: str) -> "Reading":
        """For another file of the same workflow; its scope is that of this one until it is given its own."""
        other = Reading(document, self.scope, unit, dollar=dollar, strict=self.strict)
        other.base, other.folder, other.means, other.shelved = base, self.folder, self.means, self.shelved
        other.around, other.prefix = self.around, self.prefix
        other.files, other.is_program, other.private = self.files, self.is_program, self.private
        other.secrets, other.secret_names = self.secrets, self.secret_names
        other.found, other._budget, other.unread = self.found, self._budget, self.unread
        return other

    def line(self, number: int) -> str:
        """A line of the file, from 1, without its end; empty where there is none."""
        if self._lines is None:
            self._lines = self.document.text.split("\n")
        return self._lines[number - 1].rstrip("\r") if number <= len(self._lines) else ""

    def shown(self, path: str) -> str:
        """A path from the folder of the workflow on, as people know it."""
        return f"{self.around}/{path}" if self.around and not path.startswith("/") else path

    def error(self, code: str, message: str, span: Span, help: str | None = None) -> None:
        self.found.append(error(code, message, self.document.place(span), help))

    def warning(self, code: str, message: str, span: Span, help: str | None = None) -> None:
        self.found.append(warning(code, message, self.document.place(span), help))

    def info(self, code: str, message: str, span: Span, help: str | None = None) -> None:
        self.found.append(info(code, message, self.document.place(span), help))

    def is_unread(self, path: str, scope: str) -> bool:
        """Whether it names something in an included file that could not be read, which has been told. `unread` are the
        prefixes of those files."""
        from stepwave.core.language.scoped import prefixes

        names = [f"{prefix}{path}." for prefix in prefixes(scope)] if self.unread else []
        return any(name.startswith(unread) for name in names for unread in self.unread)

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
    """Sorts the entries of a mapping by canonical name; reports keys that are unknown.

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
            if meant := _other(r, key, node, span, keys, prefix):
                into.setdefault(_misspelt(meant), Given(prefix + key, node, span))
        elif not is_null(node) or name.endswith("timeout"):
            given = Given(prefix + key, node, span)
            first = into.setdefault(name, given)
            if first is not given:
                into[name] = first._replace(more=(*first.more, given))


def _other(r: Reading, key: str, node: Node, span: Span, keys: Keys, prefix: str) -> str | None:
    """The canonical name of the key that a misspelt one was probably meant for."""
    if key in keys.passive or key.startswith(("_", "x-")):
        return None
    if key in keys.inside:
        if not is_null(node):
            wrong_type(r, Given(prefix + key, node, span), "a mapping")
    else:
        return _unknown_key(r, key, span, keys)
    return None


def _misspelt(name: str) -> str:
    """Where `gather` keeps the misspelt key that was meant for a name."""
    return f"~{name}"


def is_missed(found: Found, *names: str) -> bool:
    """Whether none of these is there, nor a misspelt key that was meant for one: that has been told already."""
    return not any(name in found or _misspelt(name) in found for name in names)


def _unknown_key(r: Reading, key: str, span: Span, keys: Keys) -> str | None:
    """A near miss of a known key is an error: a lost `dependson` would be a lost order."""
    # Of two spellings that are equally near the last one is taken: that of the dialect.
    near = r.suggestion(key, sorted(keys.meant, key=lambda known: ("_" in known) == r.dollar))
    message = f"{keys.what} has no key {quoted(key)}"
    if near:
        r.error("unknown-key", message, span, f"did you mean `{near}`?")
        return keys.leads.get(near, near)
    report = r.error if r.strict else r.warning
    report("unknown-key", message, span, "begin it with `x-` if it is a note of your own")
    return None


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


def inside_text(r: Reading, node: Node, offset: int, length: int = 1) -> Span:
    """Where character `offset` of a scalar's value stands in the file; the whole scalar when that cannot be told."""
    span = node.span
    if not isinstance(node, Scalar) or not isinstance(node.value, str) or not node.value:
        return span
    if span.line != span.end_line:
        return _inside_block(r, span, node.value, offset, length)
    quotes = span.end_column - span.column - len(node.value)
    if quotes not in (0, 2) or not 0 <= offset <= len(node.value):  # escapes or a block scalar
        return span
    room = max(1, min(length, len(node.value) - offset))
    return start_of(span, offset + quotes // 2, room)


def _inside_block(r: Reading, span: Span, value: str, offset: int, length: int) -> Span:
    """The same for a block, where the line of the file is that of the value with blanks in front."""
    start = value.rfind("\n", 0, offset) + 1
    line = value[start : value.find("\n", start) % (len(value) + 1)]
    number = span.line + 1 + value.count("\n", 0, start)
    written = r.line(number)
    indent = len(written) - len(line)
    if not line or not written.endswith(line) or written[:indent].strip():  # folded, or in quotes
        return span
    column = indent + offset - start + 1
    return Span(number, column, number, column + max(1, min(length, len(written) - column + 1)))


def bad_expression(r: Reading, node: Node, problem: ExpressionError) -> None:
    r.error("bad-expression", problem.message, inside_text(r, node, problem.offset), problem.help)


def _provide(path: tuple[str | int, ...], text: str) -> str | None:
    if path[0] != "env" or len(path) != 2:
        return None
    default = f"${{env.{path[1]}:-…}}" if "${" in text else f"{{{{env('{path[1]}', …)}}}}"
    return one_line(f"set it, or provide for its absence: `{default}`", 120)


def refuse_dollars(r: Reading, node: Scalar, written: str) -> None:
    """`${NAME}` in quotes would be text to an expression, and is meant as a reference."""
    if not r.dollar or "${" not in written:
        return
    from stepwave.core.language.interpolate import reference_spans

    for start, end in reference_spans(written, dollar=True, declared=r.scope.variables):
        if written[start] == "$":
            message = f"{quoted(written[start:end])} is text here: an expression names things without `$`"
            help = "write the name alone, or `{{…}}` within quotes"
            r.error("bad-expression", message, inside_text(r, node, start, end - start), help)


def resolved(r: Reading, given: Given, text: str) -> Value:
    """The value of a text with references, from the variables and the environment; None once it is reported."""
    from stepwave.core.language.interpolate import text_references, value_of

    try:
        paths = text_references(text, r.dollar)
        if r.secret_names and (secret := secret_in(paths, r.secret_names)):
            message = f"`{given.key}` is needed before anything runs, but refers to secret {quoted(secret)}"
            r.error("known-too-late", message, given.node.span, "a secret is known only to the steps that get it")
            return None
        if any(path and path[0] == "steps" for path in paths):
            message = f"`{given.key}` is needed before anything runs, but refers to what a step will bring"
            r.error("known-too-late", message, given.node.span, "use a variable or the environment")
            return None
        value = value_of(text, r.scope, dollar=r.dollar)
    except Unresolved as problem:
        help = problem.help or _provide(problem.path, text)
        r.error("unknown-variable", problem.message, inside_text(r, given.node, problem.offset), help)
        return None
    except ExpressionError as problem:
        bad_expression(r, given.node, problem)
        return None
    if value is None or value == text:
        r.error("unknown-variable", f"{quoted(text)} has no value", given.node.span)
        return None
    return value


def secret_in(paths: Iterable[tuple[str, ...]], names: Collection[str]) -> str | None:
    """The first secret that one of these paths reads: `secrets.X`, or `env.X` where that is one of `names`."""
    for path in sorted(paths):
        if len(path) > 1 and (path[0] == "secrets" or (path[0] == "env" and path[1] in names)):
            return path[1]
    return None


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
