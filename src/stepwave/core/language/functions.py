"""The functions of the expression language.

Rule 1: no clock, no chance, and no file of its own finding: whoever calls passes the time, and what may be read.
Rule 2: bounded. No function gives more than `MAX_TEXT` characters, and a size is checked before the text is made.
Rule 3: text from data is split and replaced literally. `matches` alone takes a regular expression, through `regexes`.
"""

import json
import math
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from stepwave.core.language import lists
from stepwave.core.language.dates import ISO, add_time, format_date, written_at
from stepwave.core.language.regexes import search
from stepwave.core.language.scope import FileRefused, Files
from stepwave.core.language.values import (
    MAX_TEXT,
    BadArgument,
    Number,
    includes,
    json_text,
    kind_of,
    number_of,
    same,
    text_of,
    truth,
    weight,
)
from stepwave.core.model import Value
from stepwave.core.written import float_as_written

MAX_JSON_DEPTH = 100
MAX_BITS = 1000

_json_mark = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


# --- how a function is called ----------------------------------------------------------------------


class Function(NamedTuple):
    """`letters` says what each argument must be; `most` None: any number, each as the last letter says.

    `run` is None where the evaluator answers itself (it must not evaluate every argument, or asks the scope).
    `timed`: the time goes in front of the arguments; `filed`: the files that may be read do.
    """

    letters: str
    least: int
    most: int | None
    run: Callable[..., Value] | None
    timed: bool = False
    filed: bool = False


def call(name: str, arguments: Sequence[Value], now: float, files: Files | None = None) -> Value:
    """Call a function of `table` that has a `run`; `now` is seconds since the epoch. Without `files` none is read.

    The number of arguments must be right (`arity_problem`). Raises BadArgument.
    """
    function = table[name]
    assert function.run is not None
    last = len(function.letters) - 1
    values = [_as[function.letters[min(n, last)]](argument, _ordinal(n)) for n, argument in enumerate(arguments)]
    try:
        result = function.run(*_before(function, now, files), *values)
    except OverflowError:
        raise BadArgument("the number is too large") from None
    except FileRefused as problem:
        raise BadArgument(str(problem)) from None
    if weight(result) > MAX_TEXT:
        raise BadArgument("the result would be longer than 1 MiB")
    return result


def _before(function: Function, now: float, files: Files | None) -> tuple[float | Files, ...]:
    """What stands in front of the arguments."""
    if function.filed and files is None:
        raise BadArgument("no file can be read here")
    return (now,) if function.timed else (files,) if function.filed and files is not None else ()


def arity_problem(name: str, count: int) -> str | None:
    """A sentence when a function cannot take this many arguments."""
    function = table[name]
    if function.least <= count and (function.most is None or count <= function.most):
        return None
    wanted = str(function.least)
    if function.most is None:
        wanted = f"at least {wanted}"
    elif function.most != function.least:
        wanted = f"{wanted} to {function.most}"
    return f"`{name}` takes {wanted} argument{'' if wanted.endswith('1') else 's'}, not {count}"


def _ordinal(n: int) -> str:
    return f"the {('first', 'second', 'third')[n]} argument" if n < 3 else f"argument {n + 1}"


def _wrong(place: str, wanted: str, value: Value) -> BadArgument:
    return BadArgument(f"{place} must be {wanted}, not {kind_of(value)}")


def _as_text(value: Value, place: str) -> str:
    if value is None or isinstance(value, list | dict):
        raise _wrong(place, "text", value)
    return text_of(value)


def _as_number(value: Value, place: str) -> Number:
    number = number_of(value)
    if number is None:
        raise _wrong(place, "a number", value)
    return _sane(number)


def _as_whole(value: Value, place: str) -> int:
    number = _as_number(value, place)
    if number != int(number) or abs(number) > 1 << 53:
        raise BadArgument(f"{place} must be a whole number")
    return int(number)


def _as_list(value: Value, place: str) -> list[Value]:
    if not isinstance(value, list):
        raise _wrong(place, "a list", value)
    return value


def _as_series(value: Value, place: str) -> Value:
    return value if isinstance(value, list) else _as_text(value, place)


def _as_given(value: Value, place: str) -> Value:
    return value


_as: dict[str, Callable[[Value, str], Value]] = {
    "t": _as_text,
    "n": _as_number,
    "i": _as_whole,
    "l": _as_list,
    "s": _as_series,
    "v": _as_given,
}


def _sane(number: Number) -> Number:
    """Neither so large that printing it is work, nor NaN; whole results are whole numbers."""
    if isinstance(number, int):
        if number.bit_length() > MAX_BITS:
            raise BadArgument("the number is too large")
        return number
    if not math.isfinite(number):
        raise BadArgument("the number is too large")
    return int(number) if number.is_integer() and abs(number) < 1e15 else number


# --- text --------------------------------------------------------------------------------------------


def _bounded(length: int) -> None:
    if length > MAX_TEXT:
        raise BadArgument("the result would be longer than 1 MiB")


def _split(text: str, separator: str | None = None) -> Value:
    return [*text] if separator == "" else [*text.split(separator)]


def _join(items: list[Value], separator: str = ",") -> str:
    texts = [text_of(item) for item in items]
    _bounded(sum(map(len, texts)) + len(separator) * len(texts))
    return separator.join(texts)


def _replace(text: str, old: str, new: str) -> str:
    if not old:
        raise BadArgument("the text to look for is empty")
    _bounded(len(text) + text.count(old) * (len(new) - len(old)))
    return text.replace(old, new)


def _pad(text: str, width: int, fill: str) -> str:
    missing = width - len(text)
    if missing > 0 and not fill:
        raise BadArgument("the text to fill up with is empty")
    _bounded(width)
    return (fill * (missing // len(fill) + 1))[:missing] if missing > 0 else ""


def _repeat(text: str, times: int) -> str:
    if times < 0:
        raise BadArgument("the second argument must not be negative")
    _bounded(len(text) * times)
    return text * times


def _length(value: Value) -> int:
    if isinstance(value, list | dict):
        return len(value)
    return len(_as_text(value, "the first argument"))


# --- numbers -----------------------------------------------------------------------------------------


def _divide(a: Number, b: Number) -> Number:
    if b == 0:
        raise BadArgument("cannot divide by zero")
    return _sane(a / b)


def _modulo(a: Number, b: Number) -> Number:
    if b == 0:
        raise BadArgument("cannot divide by zero")
    return _sane(a % b)


def _round(number: Number, digits: int = 0) -> Number:
    """Halves go up, as people expect, not to the even neighbour."""
    if not 0 <= digits <= 15:
        raise BadArgument("the second argument must be 0 to 15")
    if isinstance(number, int) or abs(number) >= 1e15:
        return _sane(number)
    return _sane(math.floor(number * 10**digits + 0.5) / 10**digits)


def _extreme(pick: Callable[[list[Number]], Number]) -> Callable[..., Value]:
    def run(*values: Value) -> Value:
        items = values[0] if len(values) == 1 and isinstance(values[0], list) else [*values]
        if not items:
            raise BadArgument("the list is empty")
        return pick([_as_number(item, "every item") for item in items])

    return run


# --- conversions, paths, files --------------------------------------------------------------------------


def _to_number(value: Value) -> Number:
    number = number_of(value)
    if number is None:
        shown = "this text" if isinstance(value, str) else kind_of(value)
        raise BadArgument(f"{shown} is not a number")
    return _sane(number)


def _not_json(text: str) -> float:
    raise ValueError(text)


def parse_json(text: str) -> Value:
    """Strict JSON: no NaN, no Infinity, at most `MAX_JSON_DEPTH` levels. Raises BadArgument."""
    depth = 0
    for mark in _json_mark.finditer(text):
        depth += (mark[0] in "[{") - (mark[0] in "]}")
        if depth > MAX_JSON_DEPTH:
            raise BadArgument(f"the JSON is nested deeper than {MAX_JSON_DEPTH} levels")
    try:
        value: Value = json.loads(text, parse_float=float_as_written, parse_constant=_not_json)
    except (ValueError, RecursionError):
        raise BadArgument("the text is not valid JSON") from None
    return value


def _join_path(*parts: str) -> str:
    kept = [part for part in parts if part]
    _bounded(sum(map(len, kept)) + len(kept))
    return posixpath.normpath("/".join(kept)) if kept else "."


def _base_name(path: str, suffix: str = "") -> str:
    name = posixpath.basename(path.rstrip("/"))
    return name if name == suffix else name.removesuffix(suffix)


def _read_file(files: Files, path: str, encoding: str = "utf8") -> str:
    if encoding.lower() not in ("utf8", "utf-8"):
        raise BadArgument("the second argument must be utf8")
    return files.read_text(path)


def _to_boolean(value: Value) -> bool:
    return value.strip().lower() == "true" if isinstance(value, str) else truth(value)


def _function(spec: str, run: Callable[..., Value] | None, *, timed: bool = False, filed: bool = False) -> Function:
    """`t?i` is text and, if given, a whole number; `nn*` is two numbers or more."""
    needed, _, optional = spec.removesuffix("*").partition("?")
    most = None if spec.endswith("*") else len(needed) + len(optional)
    return Function(needed + optional, len(needed), most, run, timed, filed)


_table: dict[str, Function] = {
    "upper": _function("t", str.upper),
    "lower": _function("t", str.lower),
    "trim": _function("t", str.strip),
    "capitalize": _function("t", lambda text: text[:1].upper() + text[1:]),
    "length": _function("v", _length),
    "split": _function("t?t", _split),
    "join": _function("l?t", _join),
    "replace": _function("ttt", _replace),
    "substring": _function("ti?i", lambda t, a, b=MAX_TEXT: t[max(a, 0) : max(b, 0)]),
    "startsWith": _function("tt", str.startswith),
    "endsWith": _function("tt", str.endswith),
    "includes": _function("vv", includes),
    "contains": _function("vv", includes),
    "matches": _function("tt", lambda text, pattern: search(pattern, text)),
    "padStart": _function("ti?t", lambda text, width, fill=" ": _pad(text, width, fill) + text),
    "padEnd": _function("ti?t", lambda text, width, fill=" ": text + _pad(text, width, fill)),
    "repeat": _function("ti", _repeat),
    "add": _function("nn*", lambda *numbers: _sane(sum(numbers))),
    "subtract": _function("nn", lambda a, b: _sane(a - b)),
    "multiply": _function("nn*", lambda *numbers: _sane(math.prod(numbers))),
    "divide": _function("nn", _divide),
    "modulo": _function("nn", _modulo),
    "min": _function("v*", _extreme(min)),
    "max": _function("v*", _extreme(max)),
    "round": _function("n?i", _round),
    "floor": _function("n", math.floor),
    "ceil": _function("n", math.ceil),
    "abs": _function("n", abs),
    "first": _function("l", lambda items: items[0] if items else None),
    "last": _function("l", lambda items: items[-1] if items else None),
    "slice": _function("si?i", lists.part),
    "sort": _function("l", lists.in_order),
    "unique": _function("l", lists.without_repeats),
    "reverse": _function("s", lambda series: series[::-1]),
    "range": _function("i?ii", lists.numbers),
    "at": _function("si", lists.at),
    "map": _function("lt", lists.pluck),
    "filter": _function("l?t", lists.chosen),
    "toString": _function("v", text_of),
    "toNumber": _function("v", _to_number),
    "toJson": _function("v", json_text),
    "parseJson": _function("t", parse_json),
    "toBoolean": _function("v", _to_boolean),
    "empty": _function("v", lists.is_empty),
    "notEmpty": _function("v", lambda value: not lists.is_empty(value)),
    "equals": _function("vv", same),
    "not": _function("v", lambda value: not truth(value)),
    "date": _function("?t", lambda now, form="YYYY-MM-DD": written_at(now, form), timed=True),
    "time": _function("?t", lambda now, form="HH:mm:ss": written_at(now, form), timed=True),
    "timestamp": _function("", lambda now: int(now * 1000), timed=True),
    "now": _function("", lambda now: written_at(now, ISO), timed=True),
    "formatDate": _function("v?t", format_date),
    "addDays": _function("vn", lambda date, count: add_time(date, days=count)),
    "addHours": _function("vn", lambda date, count: add_time(date, hours=count)),
    "addMinutes": _function("vn", lambda date, count: add_time(date, minutes=count)),
    "joinPath": _function("t*", _join_path),
    "basename": _function("t?t", _base_name),
    "dirname": _function("t", lambda path: posixpath.dirname(path.rstrip("/") or path) or "."),
    "extname": _function("t", lambda path: posixpath.splitext(path)[1]),
    "fileExists": _function("t", lambda files, path: files.exists(path), filed=True),
    "fileSize": _function("t", lambda files, path: files.size(path), filed=True),
    "readFile": _function("t?t", _read_file, filed=True),
    "readJson": _function("t", lambda files, path: parse_json(files.read_text(path)), filed=True),
    "default": _function("vv", None),
    "coalesce": _function("v*", None),
    "if": _function("vv?v", None),
    "env": _function("t?v", None),
    "envDefault": _function("tv", None),
    "hasEnv": _function("t", None),
    "success": _function("", None),
    "failure": _function("", None),
    "always": _function("", None),
}

aliases = {"fromJson": "parseJson", "fileName": "basename", "filePath": "dirname", "fileExt": "extname"}
table: Mapping[str, Function] = {**_table, **{alias: _table[name] for alias, name in aliases.items()}}
absent = {"random": "expressions leave nothing to chance: let a step print the number"}
"""What to do instead of functions that people may look for."""
