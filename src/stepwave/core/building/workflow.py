"""What a workflow says about itself and for all its steps: name, limits, environment, defaults."""

import re
from collections.abc import Callable
from collections.abc import Mapping as Map
from functools import partial
from typing import TYPE_CHECKING, cast

from stepwave.core.building.command import shell_choice
from stepwave.core.building.failure import failure_policy
from stepwave.core.building.fields import (
    Found,
    Given,
    Reading,
    choice,
    conflict,
    flag,
    is_missed,
    one,
    quoted,
    scalar_text,
    text,
    width,
    wrong_type,
)
from stepwave.core.building.fields_many import Env, environment, is_host, pools, template
from stepwave.core.building.fields_units import duration
from stepwave.core.building.retry import breaker_of, own_breaker, retry_of
from stepwave.core.building.step import MAX_ID, Defaults, once
from stepwave.core.diagnostics import Place
from stepwave.core.language.scope import Values
from stepwave.core.model import Dialect, FailurePolicy, Scheduling, Value, Workflow
from stepwave.core.model import nothing as empty
from stepwave.core.reading import keys
from stepwave.core.reading.dialects import Family
from stepwave.core.reading.document import Mapping, beginning, plain, plain_as_written

if TYPE_CHECKING:
    from stepwave.core.building.profiles import Own
    from stepwave.core.building.stages import Saga


def read_workflow(
    r: Reading,
    found: Found,
    variables_in: Callable[[Values], dict[str, Value]],
    family: Family,
    place: Place,
    called: str | None,
) -> Workflow:
    """The workflow without its steps. `variables_in` gives all variables that there are, from wherever they come, where
    that scope answers for what is no variable; `called` is the name under which the workflow stands, for one that has
    none of its own.

    From here on `r.scope` knows the variables and the environment of the file.
    """
    plain, env = environment_of(r, found)
    version = _version(r, found, family.dialect)
    id, name = identity(r, found, called)
    about: dict[str, Value] = {"id": id, "name": name, "version": version}
    scope = r.scope._replace(variables=empty, env={**r.scope.env, **plain}, workflow=about)
    variables = variables_in(scope)
    r.scope = scope._replace(variables=variables)
    declared = one(r, found, "pools", pools) or {}
    return Workflow(
        id=id,
        place=place,
        steps=(),
        name=name,
        version=version,
        description=one(r, found, "description", text) or "",
        dialect=family.dialect,
        timeout_s=one(r, found, "timeout", duration) or None,
        env=env,
        variables=variables,
        private=frozenset(r.private),
        parallel=one(r, found, "parallel", flag) is not False,
        max_concurrency=_width(r, found, family),
        pools={name: pool.units for name, pool in declared.items()},
        host_pools=frozenset(name for name, pool in declared.items() if pool.is_shared),
        scheduling=one(r, found, "scheduling", _scheduling) or Scheduling.EAGER,
        on_failure=_policy(r, found) or FailurePolicy.ABORT,
        rate_limit_s=one(r, found, "rateLimit", duration) or 0.0,
        rate_limit_host="" if _rate_limits.isdisjoint(found) else _shared_rate_limit(r, found, id),
        adaptive=one(r, found, "adaptive", flag) is True,
        rollback_parallel="saga.order" in found and _is_rolled_back_at_once(r, found),
    )


_rate_limits = frozenset(("rateLimit.scope", "rateLimit.name"))


def _shared_rate_limit(r: Reading, found: Found, id: str) -> str:
    """The name of a rate limit of the whole machine, which is that of the workflow where it has none."""
    given = found.get("rateLimit.scope") or found["rateLimit.name"]
    is_shared = one(r, found, "rateLimit.scope", is_host)
    name = one(r, found, "rateLimit.name", text)
    if is_missed(found, "rateLimit"):
        message = f"`{given.key.rpartition('.')[0]}` needs a `delay`"
        r.error("missing-key", message, given.span, "write `{delay: 500ms, scope: host}`")
    elif name is not None and not is_shared:
        message = f"`{found['rateLimit.name'].key}` has no effect without `scope: host`"
        r.warning("ignored-key", message, found["rateLimit.name"].span, "add `scope: host`")
    return (name or id) if is_shared and one(r, found, "rateLimit", duration) else ""


def environment_of(r: Reading, found: Found) -> tuple[dict[str, str], Env]:
    """What `dotenv` and `env` say: the values that are known now, and all of them as they are to be filled in."""
    env = one(r, found, "env", environment) or {}
    if "dotenv" not in found:
        return plain_values(env), env
    from stepwave.core.building.dotenv import dotenv_of, literals

    files = dotenv_of(r, found)
    below = {name: value for name, value in files.items() if name not in env}
    return {**below, **plain_values(env)}, {**literals(files, dollar=r.dollar), **env}


def _is_rolled_back_at_once(r: Reading, found: Found) -> bool:
    from stepwave.core.building.stages import is_rolled_back_at_once

    return is_rolled_back_at_once(r, found)


def _width(r: Reading, found: Found, family: Family) -> int | None:
    """Steps at a time; None is auto. A plan that does not say runs one by one."""
    if "maxConcurrency" in found:
        return one(r, found, "maxConcurrency", width) or None
    return 1 if family.plan else None


def read_defaults(r: Reading, found: Found) -> Defaults:
    """What the steps below take over."""
    cwd = one(r, found, "defaults.cwd", text)
    if cwd:
        template(r, "", cwd, found["defaults.cwd"].node)
    isolate = one(r, found, "defaults.isolateErrors", flag)
    return Defaults(
        timeout_s=one(r, found, "defaults.timeout", duration) or None,
        retry=retry_of(r, found, once),
        cwd=cwd or ".",
        env=one(r, found, "defaults.env", environment) or {},
        shell=one(r, found, "defaults.shell", shell_choice),
        isolate_errors=isolate is not False,
        continue_on_error=one(r, found, "continueOnError", flag) or False,
        breaker=breaker_of(r, found, own_breaker),
        saga=None if _sagas.isdisjoint(found) else _saga(r, found),
        secrets=() if "secrets" not in found else _secrets(r, found),
        profiles=_profiles(r, found),
    )


_sagas = frozenset(("saga.enabled", "saga.steps", "compensation"))


def _saga(r: Reading, found: Found) -> "Saga":
    from stepwave.core.building.stages import saga_of

    return saga_of(r, found)


def _secrets(r: Reading, found: Found) -> tuple[str, ...]:
    from stepwave.core.building.secrets import secrets_of

    return secrets_of(r, found)


def _profiles(r: Reading, found: Found) -> "Own":
    if "agents" not in found and "tools" not in found:
        return empty
    from stepwave.core.building.profiles import own_profiles

    return own_profiles(r, found)


def values(r: Reading, given: Given) -> dict[str, Value] | None:
    """Names and whatever they stand for."""
    if not isinstance(given.node, Mapping):
        wrong_type(r, given, "a mapping from names to values")
        return None
    return cast("dict[str, Value]", plain_as_written(given.node))


def plain_values(env: Map[str, str | None]) -> dict[str, str]:
    """Values that hold no reference of their own: others are known only when a step starts."""
    return {name: value for name, value in env.items() if value is not None and "{{" not in value}


_semver = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+(?:[-+].*)?\Z")


def _version(r: Reading, found: Found, dialect: Dialect) -> str:
    version = one(r, found, "version", scalar_text)
    if version is not None and dialect is Dialect.CAMEL and not _semver.match(version):
        node = found["version"].node
        r.warning("version-format", f"version {quoted(version)} is not of the form 1.0.0", node.span)
    return "1.0.0" if version is None else version


# --- what it is called -----------------------------------------------------------------------------------------------

_id = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\Z")


def identity(r: Reading, found: Found, called: str | None) -> tuple[str, str]:
    """Id and name. Without an id the name is made into one, without both what it is called, or the file's name."""
    id, name = one(r, found, "id", text), one(r, found, "name", text)
    if id is not None and (not _id.match(id) or len(id) > MAX_ID):
        message = f"workflow id {quoted(id)} may hold only letters, digits, `_`, `.` and `-`, and begins with one"
        r.error("bad-id", message, found["id"].node.span, f"write `{slug(id)}`" if slug(id) else None)
    made = id or slug(name or called or "") or slug(_stem(r.document.path)) or "workflow"
    return made, name or made


def _stem(path: str) -> str:
    """`ci` of `flows/ci.yaml`."""
    name = path.replace("\\", "/").rpartition("/")[2]
    return name.rpartition(".")[0] or name


def slug(name: str) -> str:
    """`My Workflow!` → `my-workflow`."""
    return re.sub(r"[^a-z0-9_.]+", "-", name.lower())[:MAX_ID].strip("-_.")


# --- how it goes on --------------------------------------------------------------------------------------------------

_strategies = {
    "fail_fast": FailurePolicy.ABORT,
    "continue": FailurePolicy.SKIP_DEPENDENTS,
    "escalate": FailurePolicy.ABORT,
}
_actions = {
    "fail_fast": FailurePolicy.ABORT,
    "log_and_continue": FailurePolicy.SKIP_DEPENDENTS,
    "skip_step": FailurePolicy.SKIP_DEPENDENTS,
}
_orders = {scheduling.value: scheduling for scheduling in Scheduling}


def _scheduling(r: Reading, given: Given) -> Scheduling | None:
    return choice(r, given, _orders)


def _policy(r: Reading, found: Found) -> FailurePolicy | None:
    """The ways to say what a failure means; they must not contradict each other."""
    read: dict[str, Callable[[Reading, Given], FailurePolicy | None]] = {
        "onFailure": failure_policy,
        "onFailureStrategy": partial(choice, allowed=_strategies),
        "onFailureAction": partial(choice, allowed=_actions),
    }
    said = [(found[name], policy) for name, by in read.items() if (policy := one(r, found, name, by)) is not None]
    for given, policy in said[1:]:
        if policy is not said[0][1]:
            conflict(r, said[0][0], given)
    fast = one(r, found, "failFast", flag)
    if fast is not None and said and fast != (said[0][1] is FailurePolicy.ABORT):
        conflict(r, said[0][0], found["failFast"])
    if said:
        return said[0][1]
    return None if fast is None else FailurePolicy.ABORT if fast else FailurePolicy.SKIP_DEPENDENTS


# --- what goes along -------------------------------------------------------------------------------------------------


def metadata_of(r: Reading, mapping: Mapping | None, found: Found) -> dict[str, Value]:
    """`metadata`, and every key that means nothing here but something to somebody."""
    if mapping is None:
        return {}
    passive = {key: node for key, node in mapping.entries.items() if key in keys.passed_on}
    given = one(r, found, "metadata", values) or {}
    return {**cast("dict[str, Value]", {key: plain(node) for key, node in passive.items()}), **given}


def check_name(r: Reading, mapping: Mapping | None, found: Found, dialect: Dialect) -> None:
    """Under --strict a camel file has a name."""
    if r.strict and mapping is not None and dialect is Dialect.CAMEL and "name" not in found:
        r.error("missing-key", "a workflow needs a `name`", beginning(mapping))
