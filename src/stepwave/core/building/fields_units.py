"""Reading durations and sizes: what a bare number means is told by its key, or by the dialect, or is an error."""

from stepwave.core.building.fields import (
    Given,
    Reading,
    in_range,
    is_filled,
    is_null,
    quoted,
    settled,
    whole,
    wrong_type,
)
from stepwave.core.reading.document import Scalar
from stepwave.core.reading.units import MAX_DURATION_S, Unit, bytes_of, in_seconds, is_bare_number, seconds_of

_units = {
    "config.timeout": Unit.MILLISECONDS,
    "config.idleTimeout": Unit.MILLISECONDS,
    "config.idle_timeout": Unit.MILLISECONDS,
    "saga.timeout": Unit.SECONDS,
    "compensation.timeout": Unit.SECONDS,
    "timeout_sec": Unit.SECONDS,
    "timeout_seconds": Unit.SECONDS,
    "timeout_per_step": Unit.SECONDS,
    "default_timeout": Unit.SECONDS,
    "default_timeout_sec": Unit.SECONDS,
    "default_timeout_seconds": Unit.SECONDS,
    "rate_limit_delay": Unit.SECONDS,
    "retry_delay": Unit.SECONDS,
    "retry_delay_sec": Unit.SECONDS,
    "default_retry_delay_sec": Unit.SECONDS,
    "retry.delay": Unit.SECONDS,
    "retry.initialDelay": Unit.SECONDS,
    "retry.initial_delay": Unit.SECONDS,
    "retry.maxDelay": Unit.SECONDS,
    "retry.max_delay": Unit.SECONDS,
    "initial_delay": Unit.SECONDS,
    "max_delay": Unit.SECONDS,
    "cpuTime": Unit.SECONDS,
    "cpu_time": Unit.SECONDS,
    "cooldown_seconds": Unit.SECONDS,
    "timeoutMs": Unit.MILLISECONDS,
    "timeout_ms": Unit.MILLISECONDS,
    "initialDelayMs": Unit.MILLISECONDS,
    "maxDelayMs": Unit.MILLISECONDS,
    "rateLimitDelay": Unit.MILLISECONDS,
    "parallel.rateLimitDelay.delay": Unit.MILLISECONDS,
    "execution.rate_limit_delay.delay": Unit.SECONDS,
}
"""What a bare number means under these keys. Under any other: milliseconds in camel files, else seconds."""

_silent = frozenset({"timeout", "idleTimeout", "idle_timeout", "grace", "timeout_per_step", "default_timeout"})
"""Times whose key does not say the unit: there a slip of a factor 1000 is likely, and is pointed out."""


def duration(r: Reading, given: Given) -> float | None:
    """Seconds; 0 for `null` and 0, which both mean: no such time."""
    if is_null(given.node):
        return 0.0
    value = settled(r, given)
    if value is None:
        return None
    if isinstance(value, str):
        return _duration_text(r, given, value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        wrong_type(r, given, "a duration such as `30s`")
        return None
    return _bare_duration(r, given, value)


def _duration_text(r: Reading, given: Given, value: str) -> float | None:
    if is_bare_number(value):
        if is_filled(r, given):
            return _bare_duration(r, given, float(value))
        message = f"`{given.key}` is a number in quotes, whose unit is not known"
        r.error("ambiguous-unit", message, given.node.span, _units_help(value))
        return None
    seconds = seconds_of(value)
    if seconds is None:
        message = f"`{given.key}` is {quoted(value)}, which is no duration"
        r.error("bad-duration", message, given.node.span, "write it like `1500ms`, `30s`, `5m` or `1h30m`")
        return None
    return _within_a_year(r, given, seconds)


def _bare_duration(r: Reading, given: Given, number: float) -> float | None:
    if not abs(number) <= 1e15:  # NaN too
        r.error("out-of-range", f"`{given.key}` must be at most a year", given.node.span)
        return None
    unit = _units.get(given.key) or _units.get(given.key.rpartition(".")[2]) or r.unit
    if unit is None:
        message = f"`{given.key}` has no unit, and nothing in this file says whether it is milliseconds or seconds"
        r.error("ambiguous-unit", message, given.node.span, _units_help(f"{number:g}"))
        return None
    if given.key.rpartition(".")[2] in _silent and not is_filled(r, given):
        _suspicious(r, given, number, unit)
    return _within_a_year(r, given, in_seconds(number, unit))


def _suspicious(r: Reading, given: Given, number: float, unit: Unit) -> None:
    if unit is Unit.MILLISECONDS and 0 < number < 1000:
        message, help = f"`{given.key}` is {number:g} ms here", f"did you mean `{number:g}s`?"
    elif unit is Unit.SECONDS and number > 86400:
        message = f"`{given.key}` is {number:g} seconds here, more than a day"
        help = f"did you mean `{number:g}ms`?"
    else:
        return
    r.warning("suspicious-timeout", message, given.node.span, help)


def _within_a_year(r: Reading, given: Given, seconds: float) -> float | None:
    if 0 <= seconds <= MAX_DURATION_S:
        return seconds
    bound = "not be negative" if seconds < 0 else "be at most a year"
    r.error("out-of-range", f"`{given.key}` must {bound}", given.node.span)
    return None


def _units_help(number: str) -> str:
    return f"write `{number.strip()}s` or `{number.strip()}ms`"


def size(r: Reading, given: Given) -> int | None:
    """Bytes, from 1: an integer, or text such as `2GB`."""
    node = given.node
    if isinstance(node, Scalar) and isinstance(node.value, str) and not is_filled(r, given):
        value = bytes_of(node.value)
        if value is None:
            message = f"`{given.key}` is {quoted(node.value)}, which is no size"
            r.error("bad-size", message, node.span, "write it like `512MB` or `2GB`")
            return None
        return in_range(r, given, value, 1, 2**62)
    return whole(r, given, 1, 2**62)
