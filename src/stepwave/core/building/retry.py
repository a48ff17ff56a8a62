"""How often a step is tried, from the many ways to say so. C13 and C28 of the format: `retries` are further attempts,
`max_attempts` is all of them; delays are as long as the first one times 1, n or 2^(n-1)."""

import re
from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

from stepwave.core.building.fields import Found, Given, Reading, choice, conflict, every, flag, one, whole
from stepwave.core.building.fields_many import exit_codes, words
from stepwave.core.building.fields_units import duration
from stepwave.core.model import Backoff, Retry, RetryOn
from stepwave.core.reading.document import Sequence

MAX_ATTEMPTS = 10_000
SHARED_ATTEMPTS = 3
"""Failures that open a breaker which several steps share, where the file does not say."""

_backoffs = {backoff.value: backoff for backoff in Backoff}
_retries = partial(whole, least=0, most=MAX_ATTEMPTS - 1)
_attempts = partial(whole, least=1, most=MAX_ATTEMPTS)
_repeats = partial(whole, least=0, most=MAX_ATTEMPTS)
_again = re.compile(r"retry:\s*([0-9]{1,4})\Z")
_only = ("on.exitCodes", "on.timeouts", "on.match")
_asked = (
    *("retry.enabled", "retry.delay", "retry.backoff", "retry.maxDelay", "retry.jitter", "attempts"),
    *_only,
)
_breaks = ("breaker.cooldown", "breaker.maxErrorRepeats", "breaker.patterns", "breaker.enabled", "breaker.idle")
_names = frozenset((*_asked, *_breaks, "retries", "retryCount", "onFail"))


def retry_of(r: Reading, found: Found, base: Retry) -> Retry:
    """The rule of a step or a workflow; what it does not say is taken from `base`."""
    if _names.isdisjoint(found):
        return base
    found = _in_force(r, found)
    in_mapping = any(given.key.startswith("retry.") for name in _asked for given in every(found, name))
    attempts = _attempts_of(r, found)
    delay = one(r, found, "retry.delay", duration)
    cooldown = one(r, found, "breaker.cooldown", duration)
    longest = one(r, found, "retry.maxDelay", duration)
    jitter = one(r, found, "retry.jitter", flag)
    repeats = one(r, found, "breaker.maxErrorRepeats", _repeats)
    if attempts is None:
        attempts = 3 if in_mapping and base.attempts == 1 else base.attempts
    if delay is None:
        delay = cooldown if cooldown is not None else 1.0 if in_mapping and not base.delay_s else base.delay_s
    most = base.max_delay_s if longest is None else longest
    if delay > most:
        if longest is not None and "retry.delay" in found:
            _tell_cut(r, found["retry.delay"], found["retry.maxDelay"])
        most = delay if longest is None else most
    return Retry(
        attempts=1 if one(r, found, "retry.enabled", flag) is False else attempts,
        delay_s=delay,
        backoff=one(r, found, "retry.backoff", _backoff) or base.backoff,
        max_delay_s=most,
        jitter=base.jitter if jitter is None else jitter,
        on=_on(r, found) or base.on,
        max_repeats=base.max_repeats if repeats is None else repeats,
    )


def _tell_cut(r: Reading, delay: Given, longest: Given) -> None:
    message = f"`{delay.key}` is longer than `{longest.key}`, which cuts it"
    r.warning("ignored-key", message, delay.span, "make the one shorter or the other longer")


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


# --- which failures --------------------------------------------------------------------------------------------------


def _on(r: Reading, found: Found) -> RetryOn | None:
    """Which failures are tried again: those of `retry.on`, and those that a breaker has patterns for."""
    codes = one(r, found, "on.exitCodes", _codes)
    timeouts = one(r, found, "on.timeouts", flag)
    patterns = (
        *(one(r, found, "on.match", patterns_of) or ()),
        *(one(r, found, "breaker.patterns", patterns_of) or ()),
    )
    on = RetryOn(codes or (), timeouts is True, tuple(dict.fromkeys(patterns)))
    if on != _none:
        return on
    if timeouts is False and "on.exitCodes" not in found and "on.match" not in found:
        message = "no failure at all would be tried again"
        r.error("bad-value", message, found["on.timeouts"].span, "say which are: by `exitCodes`, or by `match`")
    return None


_none = RetryOn()


def _codes(r: Reading, given: Given) -> tuple[int, ...] | None:
    if isinstance(given.node, Sequence) and not given.node.items:
        message = f"`{given.key}` is empty: nothing would be tried again"
        r.error("too-few-items", message, given.node.span, "leave it out to try every failure again")
        return None
    return exit_codes(r, given)


def patterns_of(r: Reading, given: Given) -> tuple[str, ...] | None:
    """One regular expression or a list of them, each of which can be searched for."""
    found = words(r, given)
    if found is None:
        return None
    from stepwave.core.language.regexes import BadPattern, check_pattern

    sound = []
    for pattern, span in found:
        try:
            check_pattern(pattern)
        except BadPattern as problem:
            r.error("bad-pattern", str(problem), span, problem.help)
        else:
            sound.append(pattern)
    return tuple(sound)


# --- breakers --------------------------------------------------------------------------------------------------------


class Breaker(NamedTuple):
    """Who counts failures together (`run`, `phase`, or "" for each step by itself), and how many open it."""

    scope: str = ""
    limit: int = SHARED_ATTEMPTS


own_breaker = Breaker()
_shared = frozenset(("breaker.perStep", "breaker.perPhase", "breaker.enabled"))
_in_breaker = ("circuit_breaker.", "circuitBreaker.")


def breaker_of(r: Reading, found: Found, base: Breaker) -> Breaker:
    """The breaker of a step or a workflow; `base` is that of the workflow."""
    if _shared.isdisjoint(found):
        return base
    if one(r, found, "breaker.enabled", flag) is False:
        return own_breaker
    alone, by_phase = one(r, found, "breaker.perStep", flag), one(r, found, "breaker.perPhase", flag)
    said = [given for given in every(found, "attempts") if given.key.startswith(_in_breaker)]
    limit = (_attempts(r, said[0]) if said else None) or base.limit
    if by_phase:
        return Breaker("phase", limit)
    if alone is None:
        return Breaker("" if by_phase is False and base.scope == "phase" else base.scope, limit)
    return own_breaker if alone else Breaker("run", limit)


def breaker_key(breaker: Breaker, phase: str, scope: str = "") -> str:
    """The key of `Workflow.breakers` for a step in this phase; "" where its failures are its own. `scope` is the prefix
    of ids in its file or workstream, which counts for itself."""
    if breaker.scope == "phase":
        return f"phase:{phase}" if phase else ""
    return f"{breaker.scope}:{scope[:-1]}" if breaker.scope and scope else breaker.scope


def breakers_of(shared: Iterable[tuple[str, Breaker]]) -> dict[str, int]:
    """The limit of every key; where steps say different ones, the lowest."""
    limits: dict[str, int] = {}
    for key, breaker in shared:
        if key:
            limits[key] = min(breaker.limit, limits.get(key, breaker.limit))
    return limits


def tell_no_phases(r: Reading, found: Found) -> None:
    """`per_phase: true` of a file in which there are none."""
    for given in every(found, "breaker.perPhase"):
        if flag(r, given):
            message = f"`{given.key}` has no effect: there are no phases, and each step counts for itself"
            r.info("no-effect", message, given.span, "write `per_step: false` for one count of the whole run")


def _in_force(r: Reading, found: Found) -> Found:
    """Without what a breaker says that is turned off; what no runner of commands could act on is told."""
    if one(r, found, "breaker.enabled", flag) is not False:
        for given in every(found, "breaker.idle"):
            message = f"`{given.key}` has no effect: it is for the repair loop of an agent, which is not seen from here"
            r.info("no-effect", message, given.span, "limit the attempts with `max_attempts` and `max_error_repeats`")
        return found
    kept: Found = {}
    for name, given in found.items():
        left = [each for each in (given, *given.more) if not each.key.startswith(_in_breaker)]
        if left:
            kept[name] = left[0]._replace(more=tuple(left[1:]))
    return kept
