"""How often a step is tried, from the many ways to say so. C13 and C28 of the format: `retries` are further attempts,
`max_attempts` is all of them; delays are as long as the first one times 1, n or 2^(n-1)."""

import re
from functools import partial

from stepwave.core.fields import Found, Given, Reading, choice, conflict, count, every, flag, one, whole
from stepwave.core.fields_units import duration
from stepwave.core.model import Backoff, Retry

MAX_ATTEMPTS = 10_000

_backoffs = {backoff.value: backoff for backoff in Backoff}
_retries = partial(whole, least=0, most=MAX_ATTEMPTS - 1)
_attempts = partial(whole, least=1, most=MAX_ATTEMPTS)
_again = re.compile(r"retry:\s*([0-9]{1,4})\Z")
_asked = ("retry.enabled", "retry.delay", "retry.backoff", "retry.maxDelay", "retry.jitter", "attempts")

_plain = Retry()


def retry_of(r: Reading, found: Found, base: Retry) -> Retry:
    """The rule of a step or a workflow; what it does not say is taken from `base`."""
    if _names.isdisjoint(found):
        return base
    in_mapping = any(given.key.startswith("retry.") for name in _asked for given in every(found, name))
    attempts = _attempts_of(r, found)
    delay = one(r, found, "retry.delay", duration)
    cooldown = one(r, found, "breaker.cooldown", duration)
    longest = one(r, found, "retry.maxDelay", duration)
    jitter = one(r, found, "retry.jitter", flag)
    if attempts is None:
        attempts = 3 if in_mapping and base.attempts == 1 else base.attempts
    if delay is None:
        delay = cooldown if cooldown is not None else 1.0 if in_mapping and not base.delay_s else base.delay_s
    _breaker(r, found, attempts)
    return Retry(
        attempts=1 if one(r, found, "retry.enabled", flag) is False else attempts,
        delay_s=delay,
        backoff=one(r, found, "retry.backoff", _backoff) or base.backoff,
        max_delay_s=base.max_delay_s if longest is None else longest,
        jitter=base.jitter if jitter is None else jitter,
    )


_names = frozenset(
    (*_asked, "retries", "retryCount", "breaker.cooldown", "breaker.perStep", "breaker.maxErrorRepeats", "onFail")
)


def _backoff(r: Reading, given: Given) -> Backoff | None:
    return choice(r, given, _backoffs)


def _attempts_of(r: Reading, found: Found) -> int | None:
    total = one(r, found, "attempts", _attempts)
    retries = one(r, found, "retries", _retries)
    if "retries" not in found:
        retries = one(r, found, "retryCount", _retries)
    again = _again_of(found)
    if again is not None and retries is not None and again != retries:
        conflict(r, found["retries"], found["onFail"])
    retries = again if retries is None else retries
    if total is None or retries is None:
        return total if retries is None else retries + 1
    first, other = found.get("retries") or found.get("retryCount") or found["onFail"], found["attempts"]
    message = f"`{first.key}` counts further attempts, `{other.key}` all of them"
    r.error("conflicting-keys", message, other.span, "take one of them away")
    return total


def _again_of(found: Found) -> int | None:
    """N of `on_fail: retry:N`; what is wrong with the text is told where its policy is read."""
    for given in every(found, "onFail"):
        match = _again.match(str(getattr(given.node, "value", "")))
        if match:
            return int(match[1])
    return None


def _breaker(r: Reading, found: Found, attempts: int) -> None:
    """Parts of a circuit breaker that would change what happens, and are not built."""
    for given in every(found, "breaker.perStep"):
        if flag(r, given) is False:
            r.later(given.key, given.span)
    for given in every(found, "breaker.maxErrorRepeats"):
        repeats = count(r, given)
        if repeats is not None and repeats < attempts - 1:  # else the attempts run out first
            r.later(given.key, given.span)
