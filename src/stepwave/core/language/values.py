"""What the values of an expression mean: truth, sameness, order, text, size. All of it pure."""

import json
import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from stepwave.core.model import Value
from stepwave.core.written import WrittenFloat, WrittenInt

MAX_TEXT = 1 << 20
"""Characters that one function, or one substitution, may give; an item of a list counts as eight."""

Number = int | float


class BadArgument(ValueError):  # noqa: N818 - the name says what is wrong
    """A function or operator cannot work with what it was given; `str()` is a lower-case sentence."""


_numeric = re.compile(r"\s*[-+]?[0-9]{1,60}(?:\.[0-9]{1,60})?(?:[eE][-+]?[0-9]{1,3})?\s*")
_orders: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def kind_of(value: Value) -> str:
    """What a person calls this value: `text`, `a number`, `a list` …"""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    return "text" if isinstance(value, str) else "a list" if isinstance(value, list) else "an object"


def truth(value: Value) -> bool:
    """False are: null, false, 0, an empty list or object, and text that is blank or just `false`.

    Much of what a workflow compares was text once (an output, the environment), so the word counts as the value.
    Any other text is true, `0` too.
    """
    return value.strip() not in ("", "false") if isinstance(value, str) else bool(value)


def number_of(value: Value) -> Number | None:
    """The number that a value is, or that its text spells; None for everything else, booleans too."""
    if isinstance(value, str) and _numeric.fullmatch(value):
        number = float(value) if re.search("[.eE]", value) else int(value)
        return number if math.isfinite(number) else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def text_of(value: Value) -> str:
    """The value inside a text: null is empty, 3.0 is `3`, booleans are words, lists and objects compact JSON.

    A number that somebody wrote is what they wrote.

    Raises BadArgument for what cannot be written: nested too deeply, a number of thousands of digits.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, WrittenInt | WrittenFloat):
        return value.text
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return json_text(value)


def json_text(value: Value) -> str:
    """Compact JSON. Raises BadArgument as `text_of` does."""
    try:
        if weight(value) > MAX_TEXT:
            raise ValueError
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except (RecursionError, ValueError):
        raise BadArgument(f"{kind_of(value)} is too large or too deep to be written as text") from None


def same(left: Value, right: Value) -> bool:
    """Equality. Never an error; different kinds are different, but for two cases made for values that were text:

    a number equals text that spells it (80 and `80`), a boolean equals its word (true and `true`).
    """
    if isinstance(left, bool) or isinstance(right, bool):
        either_text = isinstance(left, str) or isinstance(right, str)
        return _word(left) == _word(right) if either_text else left is right
    if isinstance(left, int | float) or isinstance(right, int | float):
        number = number_of(left)
        return number is not None and number == number_of(right)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return left == right


def _word(value: Value) -> Value:
    return text_of(value) if isinstance(value, bool) else value.strip() if isinstance(value, str) else value


def in_order(sign: str, left: Value, right: Value) -> bool:
    """Whether `left < right` holds, and so on: numbers by size, two texts by character.

    A number and text that spells one are two numbers. Raises BadArgument for any other pair.
    """
    if isinstance(left, str) and isinstance(right, str):
        return _orders[sign](left, right)
    a, b = number_of(left), number_of(right)
    if a is None or b is None:
        why = " that is not a number" if {kind_of(left), kind_of(right)} == {"text", "a number"} else ""
        raise BadArgument(f"cannot compare {kind_of(left)} with {kind_of(right)}{why} using `{sign}`")
    return _orders[sign](a, b)


def includes(whole: Value, part: Value) -> bool:
    """A piece of text, an item of a list or a key of an object. Raises BadArgument for null."""
    if isinstance(whole, list):
        return any(same(item, part) for item in whole)
    if isinstance(whole, dict):
        return text_of(part) in whole
    if whole is None or isinstance(part, list | dict):
        raise BadArgument(f"cannot look for {kind_of(part)} in {kind_of(whole)}")
    return text_of(part) in text_of(whole)


def member(value: Value | Mapping[str, Value], key: str | int) -> Value:
    """A property of an object, an item of a list (from its end when negative), or `length`. Raises KeyError."""
    if isinstance(value, Mapping):
        return value[str(key)]
    if isinstance(value, list):
        index = int(key) if isinstance(key, int) or re.fullmatch("[0-9]{1,9}", key) else None
        if index is not None and -len(value) <= index < len(value):
            return value[index]
    if key == "length" and isinstance(value, list | str):
        return len(value)
    raise KeyError(key)


def weight(value: Value) -> int:
    """Characters, plus eight for each item; counted no further than just beyond `MAX_TEXT`."""
    total, waiting = 0, [value]
    while waiting and total <= MAX_TEXT:
        item = waiting.pop()
        total += len(item) if isinstance(item, str) else 8
        if isinstance(item, list):
            total += 8 * len(item)
            waiting += item if total <= MAX_TEXT else []
        elif isinstance(item, dict):
            waiting += [*item, *item.values()]
    return total
