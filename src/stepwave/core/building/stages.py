"""What undoes the steps of a run that fails: `compensation` of each step, and how `saga` orders them."""

from collections.abc import Collection
from typing import NamedTuple

from stepwave.core.building.command import Shell, script_work
from stepwave.core.building.fields import (
    Found,
    Given,
    Reading,
    choice,
    flag,
    gather,
    is_missed,
    one,
    quoted,
    whole,
    wrong_type,
)
from stepwave.core.building.fields_many import words
from stepwave.core.building.fields_units import duration
from stepwave.core.model import Retry, Stage, Step, StepType
from stepwave.core.reading import keys
from stepwave.core.reading.document import Mapping, Span

MAX_RETRIES = 9_999


class Saga(NamedTuple):
    """`only`: ids of the steps that are undone; None for all that say how."""

    enabled: bool = True
    only: frozenset[str] | None = None

    def undoes(self, id: str) -> bool:
        return self.enabled and (self.only is None or id in self.only)


def with_undo(r: Reading, found: Found, step: Step, shell: Shell | None, *, wanted: bool) -> Step:
    """The step with its compensation, which runs where the step ran, with the same environment. Not `wanted`: it is
    read all the same, so that what is wrong with it is told."""
    given = found.get("compensation")
    if given is None:
        return step
    if not isinstance(given.node, Mapping):
        wrong_type(r, given, "a mapping with a `command`")
        return step
    inner: Found = {}
    gather(r, given.node, keys.compensation, inner, f"{given.key}.")
    enabled = one(r, inner, "enabled", flag) is not False and wanted
    if "command" not in inner:
        _tell_without_command(r, given, inner, enabled)
        return step
    undo = _undo(r, step, given.span, inner, shell)
    return step._replace(undo=undo) if enabled else step


def _undo(r: Reading, step: Step, span: Span, inner: Found, shell: Shell | None) -> Step:
    id = f"{step.id}.undo"
    before = len(r.templates)
    work = script_work(r, id, span, inner, shell)
    # It runs after its step and reads what that brought, so that no order of steps has to be asked for.
    r.templates[before:] = [template._replace(step="") for template in r.templates[before:]]
    for name in ("action", "parameters"):
        if name in inner:
            message = f"`{inner[name].key}` has no effect beside a `command`"
            r.info("no-effect", message, inner[name].span, "hand it over in `args`")
    retries = one(r, inner, "retries", _retries) or 0
    return Step(
        id=id,
        place=r.document.place(span),
        name=f"undo {step.name}",
        type=StepType.SCRIPT,
        argv=work.argv,
        script=work.script,
        family=f"{step.family}.undo" if step.family else "",
        bindings=step.bindings,
        stage=Stage.ROLLBACK,
        base=step.base,
        dollar=step.dollar,
        cwd=step.cwd,
        env=step.env,
        timeout_s=one(r, inner, "timeout", duration) or None,
        retry=Retry(attempts=retries + 1),
        continue_on_error=True,  # one that fails does not keep the others from being undone
        stop=step.stop,
        limits=step.limits,
        secrets=step.secrets,
    )


def _retries(r: Reading, given: Given) -> int | None:
    return whole(r, given, 0, MAX_RETRIES)


def _tell_without_command(r: Reading, given: Given, inner: Found, enabled: bool) -> None:
    if not enabled:
        return
    action = inner.get("action")
    if action is None:
        if is_missed(inner, "command", "action"):
            r.error("missing-key", f"`{given.key}` needs a `command`", given.span, "write what undoes the step")
        return
    message = f"`{action.key}` is a name that means nothing here, so the step is not undone"
    r.info("no-effect", message, action.span, "write what it does as `command:` and `args:`")


# --- saga ------------------------------------------------------------------------------------------------------------


def saga_of(r: Reading, found: Found) -> Saga:
    """Whether steps are undone, and which."""
    misplaced = found.get("compensation")
    if misplaced is not None:
        message = "`compensation` says how one step is undone, and has no meaning for all of them"
        r.error("misplaced-key", message, misplaced.span, "put it into the step that it undoes")
    only = one(r, found, "saga.steps", words)
    return Saga(
        enabled=one(r, found, "saga.enabled", flag) is not False,
        only=None if only is None else frozenset(word for word, _ in only),
    )


def is_rolled_back_at_once(r: Reading, found: Found) -> bool:
    """Whether the steps are undone beside each other, and not the last one first."""
    return one(r, found, "saga.order", _order) is True


def _order(r: Reading, given: Given) -> bool | None:
    return choice(r, given, {"reverse": False, "parallel": True})


def check_saga(r: Reading, found: Found, scope: str, ids: Collection[str]) -> None:
    """Whether `saga.steps` names steps. `scope` is the prefix of those beside it."""
    for word, span in one(r, found, "saga.steps", words) or ():
        if scope + word not in ids:
            message = f"`saga.steps` names {quoted(word)}, which is no step"
            r.error("unknown-step", message, span, r.did_you_mean(word, ids))
