"""One step: first what it is called, is and needs (`Draft`), then, once all of them are known, the whole of it.

Two passes, because a step may name any other one, before or after it in the file.
"""

import re
from collections.abc import Mapping as Map
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from stepwave.core.building.command import Shell, Work, nothing, script_work, stdin_of
from stepwave.core.building.failure import failure_of
from stepwave.core.building.fields import (
    Found,
    Given,
    Reading,
    Template,
    bad_expression,
    count,
    flag,
    gather,
    is_missed,
    one,
    quoted,
    refuse_dollars,
    text,
    whole,
    wrong_type,
)
from stepwave.core.building.fields_many import Env, Word, environment, exit_codes, template, words
from stepwave.core.building.fields_units import duration
from stepwave.core.building.limits import idle_of, limits_of, stop_of
from stepwave.core.building.pools import fan_pool, resources_of
from stepwave.core.building.retry import Breaker, breaker_key, breaker_of, own_breaker, retry_of
from stepwave.core.language.scope import ExpressionError
from stepwave.core.model import AcceptanceTest, Branch, Retry, Stage, Stdin, Step, StepType, Value
from stepwave.core.model import nothing as empty
from stepwave.core.reading import keys
from stepwave.core.reading.document import Mapping, Node, Scalar, Span, beginning, kind

if TYPE_CHECKING:
    from stepwave.core.building.profiles import Own
    from stepwave.core.building.stages import Saga

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
    exclusive: bool = False
    """No other step beside them: `parallel_ok: false` of a workstream."""
    pool: str | None = None
    """One unit of it is taken by all: `conflict_group` of a workstream."""
    breaker: Breaker = own_breaker
    saga: "Saga | None" = None
    secrets: tuple[str, ...] = ()
    profiles: "Own" = empty
    """What agents and tools are carried out by, as the file says."""


class Draft(NamedTuple):
    """A step after the first pass. `kind` is its type; `name` as other steps may call it.

    `needs` and `targets` (of a condition, if true and if false) are as written; `scope` is the prefix that its
    workstream or file gives to ids. `phase` is the id of its phase. Of a matrix or a `forEach` there are many: `family`
    is the id in the file, `bindings` what its names stand for; `for_each` is the text of a list that is known only
    during the run, `sources` what of it are steps.
    """

    id: str
    name: str
    span: Span
    kind: str
    found: Found
    defaults: Defaults
    r: Reading
    scope: str = ""
    needs: Sequence[Word] = ()
    targets: tuple[Sequence[Word], Sequence[Word]] = ((), ())
    stage: Stage = Stage.MAIN
    phase: str = ""
    family: str = ""
    bindings: Map[str, Value] = empty
    for_each: str | None = None
    sources: Sequence[tuple[str, ...]] = ()


class Ties(NamedTuple):
    """What a step is tied to: the ids it needs, those it leads to as a condition, the pools of its groups."""

    needs: tuple[str, ...] = ()
    pools: tuple[str, ...] = ()
    decides: bool = False
    on_true: tuple[str, ...] = ()
    on_false: tuple[str, ...] = ()


untied = Ties()


# --- first pass ------------------------------------------------------------------------------------------------------


def draft(r: Reading, node: Node, key: Word | None, defaults: Defaults, scope: str = "") -> Draft | None:
    """What a step is called, is and needs. `key` is its key in a mapping of steps, `scope` a prefix for its id."""
    if not isinstance(node, Mapping):
        r.error("wrong-type", f"a step must be a mapping, not {kind(node)}", node.span)
        return None
    found: Found = {}
    gather(r, node, _table(r, node), found)
    id, name, span = _identity(r, node, key, found)
    meant = _kind(r, id, span, found)
    _settle_inputs(meant, found)
    targets: tuple[Sequence[Word], Sequence[Word]] = ((), ())
    if meant == "condition":
        targets = one(r, found, "onTrue", words) or (), one(r, found, "onFalse", words) or ()
    needs = one(r, found, "needs", words) or ()
    return Draft(scope + id, name, span, meant, found, defaults, r, scope, needs, targets)


def _written(node: Node | None) -> str:
    return node.text if isinstance(node, Scalar) else ""


def _table(r: Reading, node: Mapping) -> keys.Keys:
    """Only a function, and a plugin, knows what its `config` holds."""
    written = _written(node.get("type"))
    if written and written not in BUILT_IN:
        return keys.plugin_step
    calls = "function" in node.entries or written == "function"
    if not calls and not written and not node.entries.keys().isdisjoint(("module", "action")):
        calls = node.entries.keys().isdisjoint(("command", "cmd", "run", "script", "agent", "tool", "expression"))
    return keys.function_step if calls else keys.step


def _settle_inputs(meant: str, found: Found) -> None:
    """`inputs` as a list names files; as a mapping it is what an agent is given."""
    inputs = found.get("inputs")
    if inputs is not None and isinstance(inputs.node, Mapping):
        del found["inputs"]
        if meant == "agent" and inputs.node.entries:
            found.setdefault("parameters", inputs)


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
    start = beginning(node)
    if is_missed(found, "id", "name"):
        r.error("missing-key", "a step needs an `id` or a `name`", start)
    return "", "", start


def _check_id(r: Reading, id: str, span: Span) -> None:
    if len(id) > MAX_ID:
        r.error("bad-id", f"an id may have at most {MAX_ID} characters, not {len(id)}", span)
    elif not _id.match(id):
        slug = re.sub("[^A-Za-z0-9_.-]+", "-", id).strip("-")
        message = f"step id {quoted(id)} may hold only letters, digits, `_`, `.` and `-`"
        r.error("bad-id", message, span, f"write `{slug}`" if slug else None)


BUILT_IN = ("script", "agent", "condition", "function", "noop")
_signs = {
    "expression": "condition",
    "function": "function",
    "command": "script",
    "run": "script",
    "agent": "agent",
    "tool": "agent",
    "tasks": "agent",
    "module": "function",
    "action": "function",
}


def _kind(r: Reading, id: str, span: Span, found: Found) -> str:
    """The type that is written, or the one that the keys speak of. `noop` after an error: the rest is still checked."""
    if "type" in found:
        written = one(r, found, "type", text)
        known = tuple(dict.fromkeys((*BUILT_IN, *r.means.kinds.names))) if r.means.kinds else BUILT_IN
        if written in known:
            return str(written)
        if written is not None:
            help = r.did_you_mean(written, known) or f"write one of {', '.join(known[:20])}"
            message = f"step {quoted(id)} is of type {quoted(written)}, which does not exist"
            r.error("unknown-step-type", message, found["type"].node.span, help)
        return "noop"
    for sign, meaning in _signs.items():
        if sign in found:
            return meaning
    if is_missed(found, "type", *_signs):
        message = f"step {quoted(id)} does not say what to do"
        r.error("missing-key", message, span, "give it a `run`, a `command`, an `agent`, or `type: noop`")
    return "noop"


# --- second pass -----------------------------------------------------------------------------------------------------


def build_step(r: Reading, draft: Draft, ties: Ties, pools: Map[str, int]) -> Step:
    """The whole step. `pools` are those that it may take from, implicit ones included."""
    found, defaults = draft.found, draft.defaults
    work = _work(r, draft)
    policy, tolerant = failure_of(r, found, defaults.continue_on_error)
    isolate = one(r, found, "isolateErrors", flag)
    if "lenient" in found and draft.kind != "condition":
        given = found["lenient"]
        r.warning("ignored-key", f"`{given.key}` is for condition steps", given.span, "put it on the step itself")
    parallel, beside = one(r, found, "parallel", flag), one(r, found, "parallelOk", flag)
    timeout = one(r, found, "timeout", duration)
    timeout = work.timeout_s if timeout is None else timeout
    description = one(r, found, "description", text) or ""
    inputs, outputs, keep = _files_of(r, draft)
    step = Step(
        id=draft.id,
        place=r.document.place(draft.span),
        name=_title(r, found, description) or draft.id,
        type=_type(draft, work),
        argv=work.argv,
        script=work.script,
        agent=work.agent,
        function=work.function,
        cwd=_cwd(r, draft, work),
        env=_env(r, draft, work),
        stdin=_stdin(r, draft, work),
        branch=_branch(r, draft, ties) if draft.kind == "condition" else None,
        for_each=draft.for_each,
        family=draft.family,
        bindings=draft.bindings,
        stage=draft.stage,
        base=r.base,
        scope=draft.scope,
        dollar=r.dollar,
        needs=ties.needs,
        condition=one(r, found, "condition", partial(_condition, step=draft.id)) or None,
        timeout_s=(defaults.timeout_s if timeout is None else timeout) or None,
        retry=retry_of(r, found, defaults.retry),
        allowed_exit_codes=one(r, found, "allowedExitCodes", exit_codes) or (0,),
        continue_on_error=tolerant,
        on_failure=policy,
        isolate_errors=defaults.isolate_errors if isolate is None else isolate,
        shielded=isolate is True,
        exclusive=parallel is False or beside is False or defaults.exclusive,
        max_concurrency=None if fan_pool(draft) else one(r, found, "maxConcurrency", count),
        resources=resources_of(r, draft, ties, pools),
        priority=one(r, found, "priority", _priority) or 0,
        estimate_s=one(r, found, "estimate", duration),
        stop=stop_of(r, found),
        limits=limits_of(r, found),
        idle_s=idle_of(r, found),
        tests=_tests(r, found),
        breaker=_breaker(r, draft),
        success_pattern=work.success_pattern,
        failure_pattern=work.failure_pattern,
        inputs=inputs,
        outputs=outputs,
        keep_outputs=keep,
        description=description,
    )
    if draft.defaults.secrets or "secrets" in found:
        step = step._replace(secrets=_secrets(r, draft))
    return step if "compensation" not in found else _with_undo(r, draft, step)


class Models:
    """Builds steps that belong to no family. Those that say nothing but what they run, need, read and make are as the
    first such step but for that: most steps of a large file, and to look for all that they might have said takes long.
    """

    def __init__(self, pools: Map[str, int]) -> None:
        self._pools = pools
        self._models: dict[tuple[int, int, Stage, str, str], Step] = {}

    def build(self, draft: Draft, ties: Ties) -> Step:
        if draft.kind != "script" or ties.pools or not draft.found.keys() <= _said_by_all:
            return build_step(draft.r, draft, ties, self._pools)
        same = id(draft.r), id(draft.defaults), draft.stage, draft.phase, draft.scope
        model = self._models.get(same)
        if model is None:
            step = self._models[same] = build_step(draft.r, draft, ties, self._pools)
            return step
        work = _work(draft.r, draft)
        inputs, outputs, keep = _files_of(draft.r, draft)
        return model._replace(
            id=draft.id,
            place=draft.r.document.place(draft.span),
            name=draft.id,
            argv=work.argv,
            script=work.script,
            needs=ties.needs,
            inputs=inputs,
            outputs=outputs,
            keep_outputs=keep,
        )


_said_by_all = frozenset(("id", "run", "command", "args", "needs", "inputs", "outputs", "keepOutputs"))
_files = frozenset(("inputs", "outputs", "provides", "keepOutputs"))


def _files_of(r: Reading, draft: Draft) -> tuple[tuple[str, ...] | None, tuple[str, ...], bool]:
    """What it reads, what it makes, and whether that stays where it is when it fails."""
    if _files.isdisjoint(draft.found) or draft.kind in ("condition", "noop"):
        return None, (), False
    from stepwave.core.building.inputs import files_of

    return files_of(r, draft.id, draft.found)


def _secrets(r: Reading, draft: Draft) -> tuple[str, ...]:
    if "secrets" not in draft.found:
        return draft.defaults.secrets
    from stepwave.core.building.secrets import secrets_of

    return secrets_of(r, draft.found, draft.defaults.secrets)


def _with_undo(r: Reading, draft: Draft, step: Step) -> Step:
    from stepwave.core.building.stages import with_undo

    saga, own = draft.defaults.saga, (draft.family or draft.id).removeprefix(draft.scope)
    return with_undo(r, draft.found, step, draft.defaults.shell, wanted=saga is None or saga.undoes(own))


def _type(draft: Draft, work: Work) -> StepType:
    """What has a command is carried out by it, whatever it was called in the file."""
    if draft.for_each is not None:
        return StepType.FAN_OUT
    if draft.kind == "agent":
        return StepType.SCRIPT if work.argv else StepType.AGENT
    return _types.get(draft.kind, StepType.SCRIPT)


_types = {"noop": StepType.NOOP, "condition": StepType.CONDITION}
_priority = partial(whole, least=-(2**31))


def _work(r: Reading, draft: Draft) -> Work:
    if draft.kind == "script":
        return script_work(r, draft.id, draft.span, draft.found, draft.defaults.shell)
    if draft.kind == "agent":
        from stepwave.core.building.agent import agent_work

        return agent_work(r, draft.id, draft.span, draft.found, draft.defaults.profiles)
    if draft.kind == "function":
        from stepwave.core.building.function import function_work

        return function_work(r, draft.id, draft.span, draft.found)
    if r.means.kinds is not None and draft.kind not in BUILT_IN:
        from stepwave.core.building.plugin import plugin_work

        return plugin_work(r, draft.id, r.means.kinds, draft.found)
    return nothing


def _branch(r: Reading, draft: Draft, ties: Ties) -> Branch | None:
    """What a condition step asks, and whom it sends on."""
    from stepwave.core.building.rule import rule_of

    if is_missed(draft.found, "expression"):
        message = f"step {quoted(draft.family or draft.id)} of type condition needs `expression`"
        r.error("missing-key", message, draft.span, "write what is to be decided: `expression: env.BRANCH == 'main'`")
    rule = one(r, draft.found, "expression", partial(rule_of, step=draft.id))
    lenient = one(r, draft.found, "lenient", flag)
    tolerant = one(r, draft.found, "continueOnError", flag)
    said = draft.defaults.continue_on_error if lenient is None and tolerant is None else bool(lenient or tolerant)
    return Branch(rule, ties.on_true, ties.on_false, said) if rule else None


def _title(r: Reading, found: Found, description: str) -> str:
    name = one(r, found, "name", text)
    return name if name else description.strip().partition("\n")[0]


def _breaker(r: Reading, draft: Draft) -> str:
    """What cleans up runs whatever has failed before."""
    breaker = breaker_of(r, draft.found, draft.defaults.breaker)
    return "" if draft.stage is Stage.FINALLY else breaker_key(breaker, draft.phase, draft.scope)


def _cwd(r: Reading, draft: Draft, work: Work) -> str:
    cwd = one(r, draft.found, "cwd", text)
    if not cwd:
        return work.cwd or draft.defaults.cwd
    template(r, draft.id, cwd, draft.found["cwd"].node)
    return cwd


def _env(r: Reading, draft: Draft, work: Work) -> Map[str, str | None]:
    """Each layer over the one before: `defaults`, the profile's, `dotenv`, the step's own."""
    own: Env | None = one(r, draft.found, "env", partial(environment, step=draft.id))
    if not own and not work.env and "dotenv" not in draft.found:
        return draft.defaults.env
    return {**draft.defaults.env, **(work.env or empty), **_dotenv(r, draft.found), **(own or empty)}


def _dotenv(r: Reading, found: Found) -> Map[str, str | None]:
    if "dotenv" not in found:
        return empty
    from stepwave.core.building.dotenv import dotenv_of, literals

    return literals(dotenv_of(r, found), dollar=r.dollar)


def _tests(r: Reading, found: Found) -> tuple[AcceptanceTest, ...]:
    if "tests" not in found:
        return ()
    from stepwave.core.building.acceptance import tests_of

    return tests_of(r, found)


def _stdin(r: Reading, draft: Draft, work: Work) -> Stdin | None:
    if "stdin" in draft.found:
        return one(r, draft.found, "stdin", partial(stdin_of, step=draft.id))
    return work.stdin


def _condition(r: Reading, given: Given, step: str) -> str | None:
    """An expression, kept as text; "" for `true`, which is no condition."""
    node = given.node
    if isinstance(node, Scalar) and isinstance(node.value, bool):
        return "" if node.value else "false"
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        wrong_type(r, given, "an expression, true or false")
        return None
    from stepwave.core.language.expressions import compile_expression
    from stepwave.core.language.tree import references

    try:
        paths = references(compile_expression(node.value), guarded=False)
    except ExpressionError as problem:
        bad_expression(r, node, problem)
        return None
    refuse_dollars(r, node, node.value)
    if paths:
        r.templates.append(Template(step, node.value, node, paths=tuple(sorted(paths))))
    return node.value
