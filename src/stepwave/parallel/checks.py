"""What the toolkit says of numbers that make no sense."""

import sys
from typing import Any


def at_least_one(name: str, value: Any) -> int:
    """Raises TypeError for what is no whole number, ValueError for one below 1."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number, not {type(value).__name__}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, not {value}")
    return value


def seconds_or_none(name: str, value: Any) -> float | None:
    """A time greater than 0; None, and one that no clock reaches, is no limit. Raises TypeError and ValueError."""
    if value is None:
        return None
    if not _is_number(value):
        raise TypeError(f"{name} must be a number of seconds or None, not {type(value).__name__}")
    if not value > 0:
        raise ValueError(f"{name} must be greater than 0 seconds, not {value}")
    return None if value > sys.float_info.max else value  # so compared, because a whole number may be larger than that


def above_zero(name: str, value: Any) -> float:
    """Raises TypeError for what is no number, ValueError for one that is not greater than 0."""
    if not _is_number(value):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    if not value > 0:
        raise ValueError(f"{name} must be greater than 0, not {value}")
    return value  # type: ignore[no-any-return]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
