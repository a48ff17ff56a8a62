"""What is told of a fault that a schema check found: its code, a sentence and a line of help, keyword by keyword.

Rule 1  The words are ours. Foreign text comes into them short and harmless, and a value never as a whole.
Rule 2  A sentence names the key, what is expected and what is there instead; help says what to write.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from stepwave.core.diagnostics import Diagnostic, did_you_mean, error, nearest
from stepwave.core.reading.document import Document, Mapping, Node, Scalar, Span, kind
from stepwave.core.reading.units import is_bare_number
from stepwave.core.text import one_line


class Fault(NamedTuple):
    """One thing that jsonschema found, with what is needed to tell it.

    `keyword` and `rule` are what was broken, in `schema`; `definition` is the name of that schema, or "".
    `value` stands at `path`; `node` and `span` are the same in the document.
    """

    keyword: str
    rule: Any
    definition: str
    schema: Any
    path: tuple[str | int, ...]
    value: Any
    node: Node
    span: Span


def diagnose(document: Document, fault: Fault) -> Iterator[Diagnostic]:
    if fault.keyword == "additionalProperties":
        yield from _bad_names(document, fault)
        return
    code, message, help = _tellers.get(fault.keyword, _invalid)(fault)
    yield error(code, message, document.place(fault.span), help)


_Told = tuple[str, str, str | None]
"""Code, message and help."""


def _invalid(fault: Fault) -> _Told:
    return "bad-value", f"{_subject(fault)} is not valid here", None


def _subject(fault: Fault) -> str:
    """What the fault is about, as the first words of a sentence."""
    if not fault.path:
        return "the file"
    last = fault.path[-1]
    if isinstance(last, str):
        return _quoted(last)
    owner = next((part for part in reversed(fault.path) if isinstance(part, str)), None)
    return f"item {last + 1} of {'the list' if owner is None else _quoted(owner)}"


def _quoted(text: object) -> str:
    return f"`{one_line(str(text), 60)}`"


def _listed(words: Iterable[str], joint: str = "or") -> str:
    *first, last = words
    return f"{', '.join(first)} {joint} {last}" if first else last


def _written(fault: Fault) -> str:
    """The value as it stands in the file; what is no scalar is called what it is."""
    return _quoted(fault.node.text) if isinstance(fault.node, Scalar) else kind(fault.node)


# --- types ----------------------------------------------------------------------------------------

_reference = "a reference such as `{{variables.x}}`"
_phrases = {
    "duration": "a number or a duration such as `30s`",
    "flag": f"true, false or {_reference}",
    "integer": f"a whole number or {_reference}",
    "natural": f"a whole number or {_reference}",
    "count": f"a whole number of at least 1 or {_reference}",
    "units": f"a whole number of at least 1 or {_reference}",
    "retry": f"a whole number, a mapping or {_reference}",
    "concurrency": f"a whole number of at least 1, `auto` or {_reference}",
    "size": "a number of bytes or a size such as `512MB`",
    "stepParallel": f"true, false, a mapping or {_reference}",
    "workflowParallel": f"true, false, a mapping or {_reference}",
    "fanOut": "a list or a reference such as `{{steps.x.output}}`",
    "failurePolicy": "`abort`, `skip_dependents` or `continue`",
    "onFail": "`abort`, `skip`, `continue` or `retry:N`",
    "signal": "a signal such as `TERM`, `INT` or `KILL`",
}
_words: dict[str, tuple[str, ...]] = {
    "string": ("a string",),
    "number": ("a number",),
    "integer": ("a whole number",),
    "boolean": ("true", "false"),
    "array": ("a list",),
    "object": ("a mapping",),
    "null": (),
}


def _expected(fault: Fault) -> str:
    if fault.definition in _phrases:
        return _phrases[fault.definition]
    names = fault.schema.get("type", [])
    wanted = [names] if isinstance(names, str) else names
    return _listed([word for name in wanted for word in _words[name]] or ["null"])


def _wrong_type(fault: Fault) -> _Told:
    message = f"{_subject(fault)} must be {_expected(fault)}, not {kind(fault.node)}"
    return "wrong-type", message, _retyped(fault)


def _retyped(fault: Fault) -> str | None:
    """How to write the same thing with the right type, if quotes make all the difference."""
    names = fault.schema.get("type", [])
    if not isinstance(fault.node, Scalar) or not fault.node.text:
        return None
    text = one_line(fault.node.text, 40)
    if not isinstance(fault.value, str):
        return f'put it in quotes: "{text}"' if "string" in names and fault.value is not None else None
    if "boolean" in names and text.lower() in _spoken_booleans:
        return f"write {_spoken_booleans[text.lower()]}, without quotes"
    if "integer" in names and re.fullmatch("[0-9]+", text):
        return f"write {text}, without quotes"
    return None


_spoken_booleans = {"yes": "true", "on": "true", "true": "true", "no": "false", "off": "false", "false": "false"}


# --- values ---------------------------------------------------------------------------------------


def _not_allowed(fault: Fault) -> _Told:
    allowed = [str(each) for each in fault.rule if each is not None]
    choice = _phrases.get(fault.definition) or _listed(f"`{each}`" for each in allowed)
    message = f"{_subject(fault)} must be {choice}, not {_written(fault)}"
    if not isinstance(fault.value, str):
        return "wrong-type", message, None
    return "bad-value", message, did_you_mean(fault.value, allowed)


def _out_of_range(fault: Fault) -> _Told:
    subject = _subject(fault)
    if fault.definition == "duration":
        told = "must not be negative" if fault.keyword == "minimum" else "is longer than a year"
        return "out-of-range", f"{subject} {told}: {_written(fault)}", None
    bound = "at least" if fault.keyword == "minimum" else "at most"
    return "out-of-range", f"{subject} must be {bound} {fault.rule}, not {_written(fault)}", None


def _bad_pattern(fault: Fault) -> _Told:
    if fault.definition == "duration":
        return _bad_duration(fault)
    if fault.definition in _id_rules:
        return _bad_id(fault)
    if fault.definition == "size":
        return "bad-size", f"{_subject(fault)} is not a size: {_written(fault)}", "write `512MB` or `2GB`"
    if fault.definition in _phrases:
        return _unknown_word(fault) if fault.definition in ("onFail", "signal") else _wrong_type(fault)
    return "bad-text", f"{_subject(fault)} must not hold a NUL character", None


def _unknown_word(fault: Fault) -> _Told:
    return "bad-value", f"{_subject(fault)} must be {_expected(fault)}, not {_written(fault)}", None


def _bad_duration(fault: Fault) -> _Told:
    subject, text = _subject(fault), str(fault.value).strip()
    if is_bare_number(text):
        help = "write a duration such as `30s`" if text.startswith(("-", "+")) else f"write `{text}ms` or `{text}s`"
        return "ambiguous-unit", f"{subject} is a quoted number, which has no unit: {_written(fault)}", help
    help = "write a number and a unit, the largest first: `300ms`, `30s`, `5m`, `1h30m`, `2d`"
    return "bad-duration", f"{subject} is not a duration: {_written(fault)}", help


_id_rules = {
    "stepId": "may hold only letters, digits, `_`, `.` and `-`",
    "workflowId": "may hold only letters, digits, `_`, `.` and `-`, and must begin with a letter or digit",
}


def _bad_id(fault: Fault) -> _Told:
    message = f"{_subject(fault)} {_id_rules[fault.definition]}, not {_written(fault)}"
    return "bad-id", message, _slug_help(str(fault.value))


def _slug_help(text: str) -> str | None:
    slug = re.sub("[^A-Za-z0-9_.-]+", "-", text[:200]).strip("-_.")
    return f"write `{one_line(slug, 60)}`" if slug else None


def _too_few(fault: Fault) -> _Told:
    if fault.rule == 1:
        return "too-few-items", f"{_subject(fault)} must not be empty", None
    return "too-few-items", f"{_subject(fault)} must have at least {fault.rule} items", None


def _too_short(fault: Fault) -> _Told:
    return "too-short", f"{_subject(fault)} must not be empty", None


def _too_long(fault: Fault) -> _Told:
    code = "bad-id" if fault.definition in _id_rules else "too-long"
    count = len(fault.value)
    return code, f"{_subject(fault)} may have at most {fault.rule} characters, not {count}", None


# --- keys -----------------------------------------------------------------------------------------


def _missing(fault: Fault) -> _Told:
    absent = [name for name in fault.rule if name not in fault.value]
    return _absent(fault, _listed((f"`{name}`" for name in absent), "and"), absent[0])


def _missing_any(fault: Fault) -> _Told:
    names = [name for branch in fault.rule for name in branch.get("required", ())]
    if not names:
        return _invalid(fault)
    return _absent(fault, f"`{names[0]}`", names[0])


def _absent(fault: Fault, wanted: str, name: str) -> _Told:
    near = nearest(name, fault.value)
    help = f"did you mean `{name}` by {_quoted(near)}?" if near else None
    return "missing-key", f"{_subject(fault)} needs {wanted}", help


def _bad_names(document: Document, fault: Fault) -> Iterator[Diagnostic]:
    """The names that no pattern of the mapping allows: each is told where it stands."""
    allowed = [re.compile(pattern) for pattern in fault.schema.get("patternProperties", {})]
    for name in fault.value:
        if not any(pattern.search(name) for pattern in allowed):
            span = fault.node.keys.get(name, fault.span) if isinstance(fault.node, Mapping) else fault.span
            code, message, help = _bad_name(fault, name)
            yield error(code, message, document.place(span), help)


def _bad_name(fault: Fault, name: str) -> _Told:
    if fault.definition == "environment":
        return (
            "bad-name",
            f"{_quoted(name) if name else 'empty text'} cannot be the name of an environment variable",
            None,
        )
    if len(name) > 200:
        return "bad-id", f"{_quoted(name)} may have at most 200 characters, not {len(name)}", None
    return "bad-id", f"step id {_quoted(name)} {_id_rules['stepId']}", _slug_help(name)


_tellers: dict[str, Callable[[Fault], _Told]] = {
    "type": _wrong_type,
    "enum": _not_allowed,
    "const": _not_allowed,
    "minimum": _out_of_range,
    "maximum": _out_of_range,
    "pattern": _bad_pattern,
    "minItems": _too_few,
    "minProperties": _too_few,
    "minLength": _too_short,
    "maxLength": _too_long,
    "required": _missing,
    "anyOf": _missing_any,
}
"""Keyword: what tells its faults."""
