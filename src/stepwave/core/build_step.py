"""One step: first what it is called, is and needs (`Draft`), then, once all of them are known, the whole of it.

Two passes, because a step may name any other one, before or after it in the file.
"""

import re
from collections.abc import Mapping as Map
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from stepwave.core import keys
from stepwave.core.build_command import Shell, Work, agent_work, nothing, script_work, stdin_of
from stepwave.core.build_failure import failure_of
from stepwave.core.build_retry import retry_of
from stepwave.core.document import Mapping, Node, Scalar, Span, kind
from stepwave.core.fields import (
    Found,
    Given,
    Reading,
    Template,
    bad_expression,
    conflict,
    count,
    every,
    flag,
    gather,
    is_empty,
    one,
    quoted,
    text,
    whole,
    wrong_type,
)
from stepwave.core.fields_many import Env, Word, claims, environment, exit_codes, template, words
from stepwave.core.fields_units import duration, size
from stepwave.core.model import Limits, Retry, Stdin, Step, StepType, StopRule
from stepwave.core.model import nothing as empty
from stepwave.core.scope import ExpressionError

MAX_ID = 200
once = Retry()

_id = re.compile(r"[A-Za-z0-9_.-]+\Z")


class Defaults(NamedTuple):
    """What a step gets that does not say otherwise."""

    timeout_s: float | None = None
    retry: Retry = once
    cwd: str = "."
    env: Map[str, str | None] = empty
    shell: Shell | None = None
    isolate_errors: bool = True
    continue_on_error: bool = False


class Draft(NamedTuple):
    """A step after the first pass. `kind` is its type, of which two are not built; `name` as other steps may call it.

    `needs` and `targets` (of a condition) are as written; `scope` is the prefix that its workstream gives to ids.
    """

    id: str
    name: str
    span: Span
    kind: str
    found: Found
    defaults: Defaults
    scope: str = ""
    needs: Sequence[Word] = ()
    targets: Sequence[Word] = ()


# --- first pass ------------------------------------------------------------------------------------------------------


def draft(r: Reading, node: Node, key: Word | None, defaults: Defaults, scope: str = "") -> Draft | None:
    """What a step is called, is and needs. `key` is its key in a mapping of steps, `scope` a prefix for its id."""
    if not isinstance(node, Mapping):
        r.error("wrong-type", f"a step must be a mapping, not {kind(node)}", node.span)
        return None
    calls = "function" in node.entries or _written(node.get("type")) == "function"
    found: Found = {}
    gather(r, node, keys.function_step if calls else keys.step, found)
    _settle_inputs(r, node)
    id, name, span = _identity(r, node, key, found)
    meant = _kind(r, id, span, found)
    targets = []
    if meant == "condition":
        targets = [target for side in ("onTrue", "onFalse") for target in one(r, found, side, words) or ()]
    needs = one(r, found, "needs", words) or ()
    return Draft(scope + id, name, span, meant, found, defaults, scope, needs, targets)


def _written(node: Node | None) -> str:
    return node.text if isinstance(node, Scalar) else ""


def _settle_inputs(r: Reading, node: Mapping) -> None:
    """`inputs` as a list names files; as a mapping it is what an agent is given."""
    inputs = node.get("inputs")
    if inputs is not None and not isinstance(inputs, Mapping) and not is_empty(inputs):
        r.later("inputs", node.keys["inputs"])


def _identity(r: Reading, node: Mapping, key: Word | None, found: Found) -> tuple[str, str, Span]:
    """Id, the other name that a need may use, and where the step is pointed at."""
    given = found.get("id")
    id = one(r, found, "id", text)
    if id is None and key is not None:
        id, span = key
    elif given:
        span = given.node.span
    else:
        return _named(r, node, found)
    if id is not None:
        _check_id(r, id, span)
    return id or "", "", span


def _named(r: Reading, node: Mapping, found: Found) -> tuple[str, str, Span]:
    """A step without an id goes by its name; blanks in it become dashes, and needs may still use the name."""
    given = found.get("name")
    name = text(r, given) if given else None
    if given and name is not None:
        id = re.sub(r"[^A-Za-z0-9_.-]+", "-", name.strip())[:MAX_ID].strip("-")
        if not id:
            _check_id(r, name, given.node.span)
        return id, name, given.node.span
    start = next(iter(node.keys.values()), node.span)
    if not given:
        r.error("missing-key", "a step needs an `id` or a `name`", start)
    return "", "", start


def _check_id(r: Reading, id: str, span: Span) -> None:
    if len(id) > MAX_ID:
        r.error("bad-id", f"an id may have at most {MAX_ID} characters, not {len(id)}", span)
    elif not _id.match(id):
        slug = re.sub("[^A-Za-z0-9_.-]+", "-", id).strip("-")
        message = f"step id {quoted(id)} may hold only letters, digits, `_`, `.` and `-`"
        r.error("bad-id", message, span, f"write `{slug}`" if slug else None)


_kinds = ("script", "agent", "condition", "function", "noop")
_signs = {
    "expression": "condition",
    "command": "script",
    "run": "script",
    "function": "function",
    "agent": "agent",
    "tool": "agent",
    "tasks": "agent",
}


def _kind(r: Reading, id: str, span: Span, found: Found) -> str:
    """The type that is written, or the one that the keys speak of. `noop` after an error: the rest is still checked."""
    if "type" in found:
        written = one(r, found, "type", text)
        if written in _kinds:
            return str(written)
        if written is not None:
            help = r.did_you_mean(written, _kinds) or "write one of script, agent, condition, function and noop"
            message = f"step {quoted(id)} is of type {quoted(written)}, which does not exist"
            r.error("unknown-step-type", message, found["type"].node.span, help)
        return "noop"
    for sign, meaning in _signs.items():
        if sign in found:
            return meaning
    if "module" in found or "action" in found:
        given = found.get("module") or found["action"]
        message = f"step {quoted(id)} calls a `module` and an `action`, which stepwave cannot run"
        r.error("unknown-step-type", message, given.span, "write what to run as `command:` or `run:`")
    else:
        message = f"step {quoted(id)} does not say what to do"
        r.error("missing-key", message, span, "give it a `run`, a `command`, an `agent`, or `type: noop`")
    return "noop"


# --- second pass -----------------------------------------------------------------------------------------------------


def build_step(r: Reading, draft: Draft, needs: tuple[str, ...], pools: Map[str, int]) -> Step:
    """The whole step. `pools` are those that it may take from, implicit ones included."""
    found, defaults = draft.found, draft.defaults
    work = _work(r, draft)
    policy, tolerant = failure_of(r, found, defaults.continue_on_error)
    isolate = one(r, found, "isolateErrors", flag)
    parallel, beside = one(r, found, "parallel", flag), one(r, found, "parallelOk", flag)
    timeout = one(r, found, "timeout", duration)
    description = one(r, found, "description", text) or ""
    return Step(
        id=draft.id,
        place=r.document.place(draft.span),
        name=_title(r, found, description) or draft.id,
        type=_types.get(draft.kind, StepType.NOOP),
        argv=work.argv,
        script=work.script,
        agent=work.agent,
        cwd=_cwd(r, draft),
        env=_env(r, draft),
        stdin=_stdin(r, draft, work),
        needs=needs,
        condition=one(r, found, "condition", partial(_condition, step=draft.id)) or None,
        timeout_s=(defaults.timeout_s if timeout is None else timeout) or None,
        retry=retry_of(r, found, defaults.retry),
        allowed_exit_codes=one(r, found, "allowedExitCodes", exit_codes) or (0,),
        continue_on_error=tolerant,
        on_failure=policy,
        isolate_errors=defaults.isolate_errors if isolate is None else isolate,
        shielded=isolate is True,
        exclusive=parallel is False or beside is False,
        max_concurrency=one(r, found, "maxConcurrency", count),
        resources=_resources(r, found, pools),
        priority=one(r, found, "priority", _priority) or 0,
        estimate_s=one(r, found, "estimate", duration),
        stop=_stop(r, found),
        limits=_limits(r, found),
        description=description,
    )


_types = {"script": StepType.SCRIPT, "agent": StepType.AGENT}
_priority = partial(whole, least=-(2**31))


def _work(r: Reading, draft: Draft) -> Work:
    if draft.kind == "script":
        return script_work(r, draft.id, draft.span, draft.found, draft.defaults.shell)
    if draft.kind == "agent":
        return agent_work(r, draft.id, draft.span, draft.found)
    if draft.kind in ("condition", "function"):
        given = draft.found.get("type") or draft.found.get("expression") or draft.found["function"]
        r.later(f"type: {draft.kind}", given.node.span if given.key == "type" else given.span)
        missing = {"condition": "expression", "function": "function"}[draft.kind]
        if missing not in draft.found:
            r.error("missing-key", f"step {quoted(draft.id)} of type {draft.kind} needs `{missing}`", draft.span)
        return nothing
    for key in ("command", "run", "args"):
        for given in every(draft.found, key):
            if "type" in draft.found and _written(draft.found["type"].node) == "noop":
                r.warning("ignored-key", f"`{given.key}` has no effect in a step of type noop", given.span)
    return nothing


def _title(r: Reading, found: Found, description: str) -> str:
    name = one(r, found, "name", text)
    return name if name else description.strip().partition("\n")[0]


def _cwd(r: Reading, draft: Draft) -> str:
    cwd = one(r, draft.found, "cwd", text)
    if not cwd:
        return draft.defaults.cwd
    template(r, draft.id, cwd, draft.found["cwd"].node)
    return cwd


def _env(r: Reading, draft: Draft) -> Map[str, str | None]:
    own: Env | None = one(r, draft.found, "env", partial(environment, step=draft.id))
    return {**draft.defaults.env, **own} if own else draft.defaults.env


def _stdin(r: Reading, draft: Draft, work: Work) -> Stdin | None:
    if "stdin" in draft.found:
        return one(r, draft.found, "stdin", partial(stdin_of, step=draft.id))
    return Stdin(text=work.prompt) if work.prompt is not None else None


def _condition(r: Reading, given: Given, step: str) -> str | None:
    """An expression, kept as text; "" for `true`, which is no condition."""
    node = given.node
    if isinstance(node, Scalar) and isinstance(node.value, bool):
        return "" if node.value else "false"
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        wrong_type(r, given, "an expression, true or false")
        return None
    from stepwave.core.expression_tree import references
    from stepwave.core.expressions import compile_expression

    try:
        paths = references(compile_expression(node.value), guarded=False)
    except ExpressionError as problem:
        bad_expression(r, node, problem)
        return None
    if paths:
        r.templates.append(Template(step, node.value, node, paths=tuple(sorted(paths))))
    return node.value


# --- resources and limits --------------------------------------------------------------------------------------------


def conflict_pool(r: Reading, found: Found) -> str | None:
    """The pool of one unit that a `conflict_group` stands for."""
    group = one(r, found, "conflictGroup", text)
    return f"conflict:{group}" if group else None


def _resources(r: Reading, found: Found, pools: Map[str, int]) -> tuple[tuple[str, int], ...]:
    if "resource" not in found and "conflictGroup" not in found:
        return ()
    taken: dict[str, int] = {}
    for name, units, span in one(r, found, "resource", claims) or ():
        if name not in pools:
            help = r.did_you_mean(name, pools) or "declare it under `parallel.resources`"
            r.error("unknown-resource", f"there is no resource {quoted(name)}", span, help)
            continue
        taken[name] = taken.get(name, 0) + units
        if taken[name] > pools[name]:
            message = f"the step takes {taken[name]} of {quoted(name)}, which has only {pools[name]}"
            r.error("out-of-range", message, span)
    group = conflict_pool(r, found)
    return (*taken.items(), (group, 1)) if group else tuple(taken.items())


def _stop(r: Reading, found: Found) -> StopRule:
    if "kill.signal" not in found and "kill.grace" not in found:
        return _term
    grace = one(r, found, "kill.grace", duration)
    signal = one(r, found, "kill.signal", _signal)
    return StopRule(signal or _term.signal, _term.grace_s if grace is None else grace)


def _signal(r: Reading, given: Given) -> str | None:
    value = text(r, given)
    if value is None:
        return None
    name = value.upper().removeprefix("SIG")
    if name in keys.signals:
        return name
    help = r.did_you_mean(name, keys.signals) or "write TERM, INT, HUP, QUIT or KILL"
    r.error("bad-value", f"`{given.key}` is {quoted(value)}, which is no signal", given.node.span, help)
    return None


def _limits(r: Reading, found: Found) -> Limits:
    if _limited.isdisjoint(found):
        return _none
    memory, megabytes = one(r, found, "limits.memory", size), one(r, found, "memoryLimitMb", count)
    if memory is not None and megabytes is not None and memory != megabytes << 20:
        conflict(r, found["limits.memory"], found["memoryLimitMb"])
    cpu = one(r, found, "limits.cpuTime", duration)
    return Limits(
        memory_bytes=memory if megabytes is None else megabytes << 20,
        cpu_s=max(1, -int(-cpu // 1)) if cpu else None,
        open_files=one(r, found, "limits.openFiles", count),
    )


_none, _term = Limits(), StopRule()
_limited = frozenset(("limits.memory", "memoryLimitMb", "limits.cpuTime", "limits.openFiles"))
