"""What the model and the events hold, in the words that every display and drawing uses for it."""

from collections.abc import Mapping

from stepwave.core.events import BY_BRANCH, NO_EXECUTOR, LeaseAwaited, MemoryShort, StepTested
from stepwave.core.model import Rule, Stage, Value
from stepwave.core.text import one_line, size_of

STAGE_NAMES: Mapping[Stage, str] = {
    Stage.CHECK: "pre-flight checks",
    Stage.MAIN: "steps",
    Stage.ACCEPT: "acceptance tests",
    Stage.ROLLBACK: "rolling back",
    Stage.FINALLY: "finally",
}

SKIP_WORDS: Mapping[str, str] = {
    BY_BRANCH: "not on the branch taken",
    NO_EXECUTOR: "no executor for its agent",
    "circuit_open": "its circuit breaker is open",
}
"""Reasons for which a step is skipped that are a word for programs; the others are words for people already."""


def name_of_test(test: StepTested, tests: int) -> str:
    """`build`, or `build/unit` for a step with several tests, of which there are so many."""
    return test.step if tests == 1 else f"{test.step}/{test.test}"


# --- rules ---------------------------------------------------------------------------------------

_comparisons = {
    "equals": "equals",
    "not_equals": "does not equal",
    "contains": "contains",
    "not_contains": "does not contain",
    "exists": "exists",
    "not_exists": "does not exist",
    "greater_than": "is greater than",
    "less_than": "is less than",
    "greater_than_or_equal": "is at least",
    "less_than_or_equal": "is at most",
    "matches": "matches",
    "not_matches": "does not match",
}


def memory_words(event: MemoryShort) -> str:
    """`Waits for memory: it needs 2 GB, and 1.5 GB are left`."""
    figures = memory_figures(event.needed_bytes, event.left_bytes)
    return f"Starts alone, short of memory: {figures}" if event.starts else f"Waits for memory: {figures}"


def lease_words(event: LeaseAwaited) -> str:
    """``Waits: other runs on this machine hold `gpu` ``."""
    from stepwave.core.running.leases import lacking  # a run that shares nothing does without

    return f"Waits: {lacking(event.pools)}"


def memory_figures(needed_bytes: int, left_bytes: int) -> str:
    return f"it needs {size_of(needed_bytes)}, and {size_of(left_bytes)} are left"


def rule_words(rule: Rule, limit: int = 200) -> str:
    """`{{steps.test.coverage}} is at least 80 and (a or b)`, on one line."""
    return one_line(_words(rule), limit)


def _words(rule: Rule) -> str:
    if rule.operator == "expression":
        return str(rule.left)
    if rule.operator == "not":
        return f"not ({_words(rule.rules[0])})"
    if rule.operator in ("and", "or"):
        return f" {rule.operator} ".join(_part(part, rule) for part in rule.rules)
    words = f"{_value(rule.left)} {_comparisons.get(rule.operator, rule.operator)}"
    return words if rule.operator in ("exists", "not_exists") else f"{words} {_value(rule.right)}"


def _part(rule: Rule, of: Rule) -> str:
    """In brackets where it would be read otherwise."""
    is_mixed = rule.operator in ("and", "or") and rule.operator != of.operator
    return f"({_words(rule)})" if is_mixed or rule.operator == "expression" else _words(rule)


def _value(value: Value) -> str:
    import json

    return value if isinstance(value, str) and "{{" in value else json.dumps(value, ensure_ascii=False)
