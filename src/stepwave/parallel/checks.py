"""What the toolkit says of numbers that make no sense."""

import math
from typing import Any


def at_least_one(name: str, value: Any) -> int:
    """Raises TypeError for what is no whole number, ValueError for one below 1."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number, not {type(value).__name__}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, not {value}")
    return value


def seconds_or_none(name: str, value: Any) -> float | None:
    """A time that is greater than 0; None, and an endless one, is no limit. Raises TypeError and ValueError."""
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number of seconds or None, not {type(value).__name__}")
    if not value > 0:
        raise ValueError(f"{name} must be greater than 0 seconds, not {value}")
    return None if math.isinf(value) else value


def words_of(problem: BaseException) -> str:
    """The text of an exception, also of one that cannot tell it."""
    try:
        return str(problem)
    except Exception:
        return f"{type(problem).__name__}, which cannot be put into words"
