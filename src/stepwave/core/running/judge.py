"""What the end of an attempt means: for its step, and for another attempt."""

from collections import Counter

from stepwave.core.events import Exited, Outcome
from stepwave.core.model import Retry, RetryOn, Step
from stepwave.core.text import signal_name

SIGNATURE = 2000
"""Characters of the end of the output that tell one error from another."""


def judge(step: Step, end: Exited) -> tuple[Outcome, str]:
    """How an attempt went that nobody stopped; with why it failed, as the end of a sentence."""
    outcome, reason = judge_test(end, step.allowed_exit_codes)
    if outcome is not Outcome.COMPLETED:
        return outcome, reason
    if step.success_pattern is not None or step.failure_pattern is not None:
        return _judge_output(step, end.tail)
    return Outcome.COMPLETED, ""


def judge_test(end: Exited, allowed: tuple[int, ...] = (0,)) -> tuple[Outcome, str]:
    """The same for a command of which only the exit code counts."""
    if end.problem is not None:
        return Outcome.FAILED, end.problem
    if end.signal is not None:
        return Outcome.FAILED, f"killed by {signal_name(end.signal)}"
    if end.code not in allowed:
        return Outcome.FAILED, f"exit code {end.code}"
    return Outcome.COMPLETED, ""


def _judge_output(step: Step, output: str) -> tuple[Outcome, str]:
    try:
        if step.failure_pattern is not None and _found(step.failure_pattern, output):
            return Outcome.FAILED, "its output matches the failure pattern"
        if step.success_pattern is not None and not _found(step.success_pattern, output):
            return Outcome.FAILED, "its output does not match the success pattern"
    except ValueError as problem:
        return Outcome.FAILED, str(problem)
    return Outcome.COMPLETED, ""


def _found(pattern: str, text: str) -> bool:
    """Raises ValueError when the pattern is none, or takes too long."""
    from stepwave.core.language.regexes import search

    return search(pattern, text)


def wants_tail(step: Step) -> bool:
    """Whether the end of the step's output is needed to judge it."""
    return (
        step.success_pattern is not None
        or step.failure_pattern is not None
        or step.retry.max_repeats is not None
        or (step.retry.on is not None and bool(step.retry.on.patterns))
    )


def is_worth_another(retry: Retry, outcome: Outcome, reason: str, end: Exited | None, errors: Counter[str]) -> bool:
    """Whether such a failure is tried again, as long as there are attempts left. `errors` counts those so far; this
    one is added."""
    if retry.max_repeats is not None:
        error = f"{reason}|{' '.join(end.tail[-SIGNATURE:].split()) if end else ''}"
        errors[error] += 1
        if errors[error] > retry.max_repeats:
            return False
    return retry.on is None or _is_meant(retry.on, outcome, end)


def _is_meant(on: RetryOn, outcome: Outcome, end: Exited | None) -> bool:
    if outcome is Outcome.TIMEOUT and on.timeout:
        return True
    if end is None:
        return False
    if outcome is not Outcome.TIMEOUT and end.code in on.exit_codes:
        return True
    try:
        return any(_found(pattern, end.tail) for pattern in on.patterns)
    except ValueError:  # a pattern that takes too long finds nothing
        return False
