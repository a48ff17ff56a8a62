"""What a failure means: for the steps that need the failed one, for the others, for the run."""

import re

from stepwave.core.building.fields import Found, Given, Reading, conflict, flag, one, quoted, text
from stepwave.core.model import FailurePolicy

_policies = {
    "abort": FailurePolicy.ABORT,
    "fail_fast": FailurePolicy.ABORT,
    "stop": FailurePolicy.ABORT,
    "escalate": FailurePolicy.ABORT,
    "skip_dependents": FailurePolicy.SKIP_DEPENDENTS,
    "skipdependents": FailurePolicy.SKIP_DEPENDENTS,
    "skip_step": FailurePolicy.SKIP_DEPENDENTS,
    "log_and_continue": FailurePolicy.SKIP_DEPENDENTS,
    "continue": FailurePolicy.CONTINUE,
}
_policy_words = ("abort", "skip_dependents", "continue")


def failure_policy(r: Reading, given: Given) -> FailurePolicy | None:
    """abort, skip_dependents or continue, or what other families call them."""
    value = text(r, given)
    if value is None:
        return None
    policy = _policies.get(value.lower().replace("-", "_"))
    if policy is None:
        message = f"`{given.key}` must be one of `abort`, `skip_dependents` and `continue`, not {quoted(value)}"
        r.error("bad-value", message, given.node.span, r.did_you_mean(value, _policy_words))
    return policy


def _on_fail(r: Reading, given: Given) -> FailurePolicy | None:
    value = text(r, given)
    if value is None:
        return None
    if re.match(r"retry:\s*[0-9]{1,4}\Z", value):
        return FailurePolicy.ABORT
    if value in ("skip", "continue", "abort", "stop", "fail"):
        words = {"skip": FailurePolicy.SKIP_DEPENDENTS, "continue": FailurePolicy.CONTINUE}
        return words.get(value, FailurePolicy.ABORT)
    message = f"`{given.key}` must be `abort`, `skip`, `continue` or `retry:N`, not {quoted(value)}"
    r.error("bad-value", message, given.node.span)
    return None


def failure_of(r: Reading, found: Found, tolerant_by_default: bool) -> tuple[FailurePolicy | None, bool]:
    """What a failure means for the others, and whether it is tolerated."""
    policy = one(r, found, "onFailure", failure_policy)
    near = one(r, found, "onFail", _on_fail)
    tolerant = one(r, found, "continueOnError", flag)
    critical = one(r, found, "critical", flag)
    if policy is not None and near is not None and policy is not near:
        conflict(r, found["onFailure"], found["onFail"])
    policy = policy or near
    says_so = found.get("onFailure") or found.get("onFail") or found.get("critical")
    goes_on = policy is FailurePolicy.CONTINUE or critical is False
    if tolerant is False and goes_on and says_so:
        conflict(r, found["continueOnError"], says_so)
    return policy, goes_on or (tolerant_by_default if tolerant is None else tolerant)
