"""Durations and sizes as people write them: `1h30m`, `1500ms`, `2GB`. Text to numbers, no diagnostics."""

import math
import re
from enum import Enum


class Unit(Enum):
    """What a bare number stands for, in seconds."""

    MILLISECONDS = 0.001
    SECONDS = 1.0


MAX_DURATION_S = 366 * 86400.0
"""A year: more is a slip, and would not fit into what the kernel takes."""

_seconds = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_words = {
    "sec": "s",
    "secs": "s",
    "second": "s",
    "seconds": "s",
    "min": "m",
    "mins": "m",
    "minute": "m",
    "minutes": "m",
    "hour": "h",
    "hours": "h",
    "day": "d",
    "days": "d",
}
_part = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)")
_bare = re.compile(r"\s*[+-]?[0-9]+(?:\.[0-9]*)?\s*\Z")
_size = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?)(i?)B?\s*\Z", re.IGNORECASE)
_powers = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_longest = 64


def is_bare_number(text: str) -> bool:
    """`300`, `-1`, `1.5`: a number whose unit nobody can know."""
    return len(text) <= _longest and _bare.match(text) is not None


def seconds_of(text: str) -> float | None:
    """Seconds in `1500ms`, `30s`, `5m`, `1h30m`, `2d`; None for anything else, a bare number included.

    Units must get smaller from left to right and none may come twice.
    """
    if len(text) > _longest:
        return None
    total, position, smallest = 0.0, 0, math.inf
    while part := _part.match(text, position):
        name = part[2].lower()
        factor = _seconds.get(_words.get(name, name))
        if factor is None or factor >= smallest:
            return None
        total, position, smallest = total + float(part[1]) * factor, part.end(), factor
    return round(total, 9) if position and not text[position:].strip() else None


def in_seconds(number: float, unit: Unit) -> float:
    """A bare number in its unit. 300 ms is 0.3, not 0.30000000000000004."""
    return number / 1000 if unit is Unit.MILLISECONDS else float(number)


def bytes_of(text: str) -> int | None:
    """Bytes in `2GB`, `512MiB`, `100k`, `4096`; None when the text is no size.

    K, M, G and T are powers of 1024 with or without the `i`, as in systemd: a limit is an upper bound.
    """
    found = _size.match(text) if len(text) <= _longest else None
    return int(float(found[1]) * 1024 ** _powers[found[2].upper()]) if found else None
