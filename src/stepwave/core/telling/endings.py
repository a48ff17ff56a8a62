"""How an end is told: its glyph, its word, its reason."""

from stepwave.core.events import Outcome, StepDecided, StepFinished
from stepwave.core.summary import StepResult
from stepwave.core.telling.style import Role, Span, Style
from stepwave.core.telling.wording import SKIP_WORDS
from stepwave.core.text import duration, plural


def mark(step: StepFinished | StepResult, style: Style) -> Span:
    """The glyph of an outcome; a tolerated failure only warns."""
    if step.tolerated:
        return style.warn, Role.WARN
    match step.outcome:
        case Outcome.COMPLETED:
            return style.ok, Role.OK
        case Outcome.FAILED | Outcome.TIMEOUT:
            return style.fail, Role.FAIL
        case Outcome.CANCELLED:
            return style.skip, Role.WARN
        case Outcome.ROLLED_BACK:
            return style.undo, Role.WARN
        case _:
            return style.skip, Role.DIM


_ended = {
    Outcome.COMPLETED: "Complete",
    Outcome.FAILED: "Failed",
    Outcome.TIMEOUT: "Timed out",
    Outcome.SKIPPED: "Skipped",
    Outcome.CANCELLED: "Cancelled",
    Outcome.ROLLED_BACK: "Rolled back",
}


def ending(step: StepFinished | StepResult, style: Style) -> str:
    """`Complete (2m 45s)`, `Failed (12ms, 3 attempts): exit code 3`, `Skipped: its condition is false`."""
    if step.taken_from is not None and step.outcome is Outcome.COMPLETED:
        return f"Reused (run {style.word(step.taken_from)})"
    notes = [duration(step.duration_s)] if step.attempts else []
    if step.attempts > 1:
        notes.append(plural(step.attempts, "attempt"))
    if step.tolerated:
        notes.append("tolerated")
    brackets = f" ({', '.join(notes)})" if notes else ""
    why = why_it_ended(step, style)
    if why.startswith(f"{_ended[step.outcome]} "):
        return why  # `Skipped due to previous failure` needs no second `Skipped`
    return f"{_ended[step.outcome]}{brackets}{': ' if why else ''}{why}"


def why_it_ended(step: StepFinished | StepResult, style: Style) -> str:
    """The reason, or what the exit status says; nothing where the outcome says it all."""
    if step.outcome in (Outcome.COMPLETED, Outcome.ROLLED_BACK):
        return f"reused from run {style.word(step.taken_from)}" if step.taken_from else ""
    reason, sign, note = (step.reason or "").partition(_about_files)
    if step.outcome is Outcome.SKIPPED:
        reason = SKIP_WORDS.get(reason, reason)
    if step.outcome is Outcome.TIMEOUT and reason.startswith("timed out"):
        reason = reason.removeprefix("timed out: ") if ": " in reason else ""
    elif step.outcome is Outcome.CANCELLED:
        reason = reason.removeprefix("cancelled").strip(" ()")
    elif not reason and step.exit_code is not None:
        reason = f"exit code {step.exit_code}"
    if not reason and step.signal is not None and step.outcome is not Outcome.TIMEOUT:
        reason = f"ended by signal {step.signal}"
    return style.word(f"{reason}{sign}{note}".removeprefix("; "))


_about_files = "; its outputs "
"""What follows in a reason is what has become of the files that the step made."""


def decision_words(decided: StepDecided, style: Style) -> str:
    """`true: deploy-staging, deploy-production`; with why it could not be evaluated, where that is so."""
    result = str(decided.result).lower()
    if decided.error is not None:
        result += f" (it could not be evaluated: {style.word(decided.error)})"
    if not decided.chosen:
        return f"{result}: nothing waits for that"
    more = f", and {len(decided.chosen) - 10} more" if len(decided.chosen) > 10 else ""
    return f"{result}: {', '.join(style.word(id, 80) for id in decided.chosen[:10])}{more}"


def breaker_words(key: str, style: Style) -> str:
    """Whose failures a shared circuit breaker counts: `the run`, `phase build`, `the steps of lib`."""
    kind, _, name = key.partition(":")
    if not name:
        return f"the {style.word(kind, 40)}"
    return f"phase {style.word(name, 80)}" if kind == "phase" else f"the steps of {style.word(name, 80)}"
