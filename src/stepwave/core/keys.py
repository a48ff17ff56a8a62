"""Which keys a workflow file may have, by whatever name, and what becomes of each.

One table per kind of mapping. A key leads to a *canonical* name, the only one that `build` knows; many keys lead to
one name because three families of files, and several near ones, are read. `fields.gather` walks a mapping with its
table and reports what is not in it.
"""

from collections.abc import Mapping
from typing import NamedTuple

from stepwave.core.model import nothing
from stepwave.core.units import Unit


class Keys(NamedTuple):
    """One kind of mapping.

    `what` names it in sentences. `leads`: key → canonical name. `inside`: keys whose value, where it is a mapping,
    is read with a table of its own. `passive`: allowed, of no effect. `later`: known, not built in this version.
    """

    what: str
    leads: Mapping[str, str]
    inside: Mapping[str, "Keys"] = nothing
    passive: frozenset[str] = frozenset()
    later: frozenset[str] = frozenset()

    @property
    def meant(self) -> tuple[str, ...]:
        """The keys that a misspelt one may stand for."""
        return (*self.leads, *self.inside, *self.later)


def _leads(names: Mapping[str, str]) -> dict[str, str]:
    """`{"timeout": "timeout_sec"}`: both lead to `timeout`. After a leading `=` only the words that follow do."""
    leads: dict[str, str] = {}
    for name, keys in names.items():
        leads.update(dict.fromkeys((name, *keys.split()) if not keys.startswith("=") else keys[1:].split(), name))
    return leads


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# --- parts that several mappings have ------------------------------------------------------------------------------

_timeout = "timeout_sec timeout_seconds timeoutMs timeout_ms"
_cwd = "= cwd workingDirectory workingDir working_directory workdir"
_exit_codes = "= allowedExitCodes allowed_exit_codes expect_exit_codes success_exit_codes"
_memory = "= memoryLimitMb memory_limit_mb"

retry = Keys(
    "`retry`",
    _leads(
        {
            "attempts": "= attempts max_attempts maxAttempts",
            "retry.enabled": "= enabled",
            "retry.delay": "= delay initial_delay initialDelay initialDelayMs",
            "retry.backoff": "= backoff strategy",
            "retry.maxDelay": "= maxDelay max_delay maxDelayMs",
            "retry.jitter": "= jitter",
        }
    ),
    later=_set("on"),
)

circuit_breaker = Keys(
    "`circuit_breaker`",
    _leads(
        {
            "attempts": "= max_attempts maxAttempts",
            "breaker.perStep": "= per_step perStep",
            "breaker.maxErrorRepeats": "= max_error_repeats maxErrorRepeats",
            "breaker.cooldown": "= cooldown_seconds",
        }
    ),
    # What an agent's own repair loop watches for: nothing that a runner of commands could act on.
    passive=_set("enabled oscillation_threshold oscillation_window escalation_strategy max_fix_attempts"),
    later=_set("error_patterns per_phase"),
)

# --- steps ---------------------------------------------------------------------------------------------------------

step_parallel = Keys(
    "`parallel` of a step",
    _leads(
        {
            "parallel": "= enabled",
            "maxConcurrency": "max_concurrency",
            "resource": "resources",
            "isolateErrors": "isolate_errors",
        }
    ),
)

limits = Keys(
    "`limits`",
    _leads(
        {
            "limits.memory": "= memory",
            "limits.cpuTime": "= cpuTime cpu_time",
            "limits.openFiles": "= openFiles open_files",
        }
    ),
    later=_set("outputSize output_size"),
)

kill = Keys("`kill`", _leads({"kill.signal": "= signal", "kill.grace": "= grace"}))

_work = {
    "command": "cmd",
    "args": "",
    "run": "script",
    "shell": "",
    "cwd": _cwd,
    "env": "",
    "stdin": "",
    "allowedExitCodes": _exit_codes,
    "memoryLimitMb": _memory,
    "agent": "",
    "tool": "",
    "tasks": "",
    "prompt": "",
    "expression": "",
    "onTrue": "on_true",
    "onFalse": "on_false",
}

config = Keys(
    "`config`",
    _leads(_work | {"timeout": _timeout}),
    passive=_set("outputs provides parameters continueOnError maxRounds description"),
    later=_set("idleTimeout idle_timeout"),
)

step = Keys(
    "a step",
    _leads(
        _work
        | {
            "id": "step_id",
            "name": "title",
            "description": "",
            "type": "",
            "prompt": "objective",
            "timeout": _timeout,
            "needs": "dependsOn depends_on dependencies depends after",
            "condition": "if when",
            "continueOnError": "continue_on_error",
            "critical": "",
            "onFailure": "on_failure",
            "onFail": "= on_fail",
            "parallel": "",
            "parallelOk": "= parallel_ok parallelOk",
            "resource": "resources",
            "conflictGroup": "= conflict_group conflictGroup",
            "retries": "max_retries maxRetries retry",
            "retryCount": "= retry_count",
            "retry.delay": "= retryDelay retry_delay retry_delay_sec",
            "priority": "",
            "estimate": "estimated",
            "function": "",
            "module": "",
            "action": "",
        }
    ),
    inside={
        "config": config,
        "parallel": step_parallel,
        "retry": retry,
        "circuit_breaker": circuit_breaker,
        "circuitBreaker": circuit_breaker,
        "limits": limits,
        "kill": kill,
    },
    passive=_set(
        "inputs outputs output provides consumes tags labels ui_hints metadata files_scope filesScope files_create"
        " files_modify parameters params owner author notes comment status authority capability capabilities"
        " ccpm_issue openspec_change gate kind estimated_hours $schema doc_id"
    ),
    later=_set(
        "matrix forEach for_each dotenv idleTimeout idle_timeout acceptance_tests acceptanceTests compensation"
        " group secrets"
    ),
)

function_step = step._replace(
    inside={key: keys for key, keys in step.inside.items() if key != "config"},
    passive=step.passive | {"config"},
)
"""A step that calls a function: `config` holds what the function is given, under names of its own."""

# --- the workflow --------------------------------------------------------------------------------------------------

_width = "= defaultMaxConcurrency default_max_concurrency maxConcurrency max_concurrency max_workers max_parallel"

parallel = Keys(
    "`parallel`",
    _leads(
        {
            "parallel": "= enabled",
            "maxConcurrency": _width,
            "pools": "= resources",
            "scheduling": "",
            "defaults.isolateErrors": "= isolateErrors isolate_errors",
            "rateLimit": "= rateLimitDelay",
            "adaptive": "",
        }
    ),
)

execution = Keys(
    "`execution`",
    _leads(
        {
            "parallel": "",
            "maxConcurrency": "= max_workers max_concurrency max_parallel",
            "defaults.timeout": "= timeout_per_step",
            "rateLimit": "= rate_limit_delay",
            "adaptive": "= adaptive_scaling",
            "failFast": "= fail_fast",
        }
    ),
)

defaults = Keys(
    "`defaults`",
    _leads(
        {
            "defaults.timeout": f"= timeout {_timeout} default_timeout_sec default_timeout_seconds",
            "retries": "max_retries default_retries",
            "retry.delay": "= retryDelay retry_delay retry_delay_sec",
            "defaults.cwd": _cwd,
            "defaults.env": "= env",
            "defaults.shell": "= shell",
            "defaults.isolateErrors": "= isolateErrors isolate_errors",
            "maxConcurrency": "= max_concurrency",
        }
    ),
)

plan_globals = Keys(
    "`globals`",
    _leads(
        {
            "maxConcurrency": "= max_concurrency",
            "defaults.timeout": "= default_timeout_sec default_timeout_seconds default_timeout",
            "retries": "= default_retries",
            "retry.delay": "= default_retry_delay_sec",
            "defaults.cwd": "= default_cwd",
            "defaults.shell": "= default_shell",
            "env": "",
        }
    ),
)

on_failure_action = Keys("`error_handling.on_failure`", {"action": "onFailureAction"})

saga = Keys("`saga`", {"timeout": "timeout", "enabled": "saga"}, passive=_set("rollback_order steps"))

error_handling = Keys(
    "`error_handling`",
    {"strategy": "onFailureStrategy"},
    inside={"on_failure": on_failure_action},
)

workflow = Keys(
    "a workflow",
    _leads(
        {
            "id": "plan_id workstream_id bundle_id",
            "name": "title bundle_name",
            "version": "",
            "description": "objective purpose",
            "dialect": "",
            "timeout": _timeout,
            "env": "default_env",
            "variables": "vars inputs parameters",
            "maxConcurrency": "= max_workers max_concurrency max_parallel",
            "pools": "= resources",
            "parallel": "",
            "onFailure": "on_failure",
            "continueOnError": "continue_on_error",
            "retries": "max_retries retry default_retries",
            "defaults.timeout": "= default_timeout default_timeout_sec default_timeout_seconds",
            "defaults.cwd": "= default_cwd",
            "steps": "tasks nodes execution_steps jobs",
            "workflows": "",
            "needs": "= depends_on dependsOn dependencies",
            "agent": "",
            "tool": "",
            "prompt": "",
            "metadata": "",
        }
    ),
    inside={
        "parallel": parallel,
        "execution": execution,
        "defaults": defaults,
        "globals": plan_globals,
        "concurrency": Keys("`concurrency`", {"max_parallel": "maxConcurrency"}),
        "limits": Keys("`limits`", {"max_concurrency": "maxConcurrency"}),
        "execution_profile": Keys("`execution_profile`", {"concurrency": "maxConcurrency"}),
        "config": Keys("`config`", {"stop_on_failure": "failFast"}),
        "saga": saga,
        "retry": retry,
        "circuit_breaker": circuit_breaker,
        "circuitBreaker": circuit_breaker,
        "error_handling": error_handling,
    },
    passive=_set(
        "files_scope filesScope files_create filesCreate files_modify file_scope gate ccpm_issue openspec_change kind"
        " priority owner author authors tags labels capability capabilities doc_id $schema created created_at"
        " updated_at notes comment license authority ground_truth downstream_enables duration_days"
        " estimated_duration parallel_ok conflict_group status"
    ),
    later=_set(
        "phases finally secrets dotenv include step_groups stepGroups acceptance_tests acceptanceTests "
        "pre_flight_checks preFlightChecks agents tools compensation matrix"
    ),
)

step_lists = ("steps", "tasks", "nodes", "execution_steps", "jobs")
"""Keys that may hold the steps. `tasks` does only when its items are mappings: texts are for an agent to read."""

workstream_marks = frozenset({"tool", "tasks", "files_scope", "filesScope", "file_scope", "steps"})
command_marks = frozenset({"command", "cmd", "run", "script", "config", "type", "function", "agent", "module"})
"""A list whose items have some of the former and none of the latter is a list of workstreams."""

camel_marks = frozenset({"dependsOn", "continueOnError", "workingDirectory", "onTrue"})
snake_marks = frozenset(
    {
        "depends_on",
        "execution",
        "circuit_breaker",
        "files_scope",
        "step_groups",
        "phases",
        "dependencies",
        "max_retries",
    }
)
plan_marks = frozenset({"plan_id", "globals", "timeout_sec"})

units = {
    "config.timeout": Unit.MILLISECONDS,
    "saga.timeout": Unit.SECONDS,
    "timeout_sec": Unit.SECONDS,
    "timeout_seconds": Unit.SECONDS,
    "timeout_per_step": Unit.SECONDS,
    "default_timeout": Unit.SECONDS,
    "default_timeout_sec": Unit.SECONDS,
    "default_timeout_seconds": Unit.SECONDS,
    "rate_limit_delay": Unit.SECONDS,
    "retry_delay": Unit.SECONDS,
    "retry_delay_sec": Unit.SECONDS,
    "default_retry_delay_sec": Unit.SECONDS,
    "retry.delay": Unit.SECONDS,
    "retry.initialDelay": Unit.SECONDS,
    "retry.initial_delay": Unit.SECONDS,
    "retry.maxDelay": Unit.SECONDS,
    "retry.max_delay": Unit.SECONDS,
    "initial_delay": Unit.SECONDS,
    "max_delay": Unit.SECONDS,
    "cpuTime": Unit.SECONDS,
    "cpu_time": Unit.SECONDS,
    "cooldown_seconds": Unit.SECONDS,
    "timeoutMs": Unit.MILLISECONDS,
    "timeout_ms": Unit.MILLISECONDS,
    "initialDelayMs": Unit.MILLISECONDS,
    "maxDelayMs": Unit.MILLISECONDS,
    "rateLimitDelay": Unit.MILLISECONDS,
}
"""What a bare number means under these keys. Under any other: milliseconds in camel files, else seconds."""

silent_unit = frozenset({"timeout", "config.timeout", "timeout_per_step", "default_timeout"})
"""Timeouts whose key does not say the unit: there a slip of a factor 1000 is likely, and is pointed out."""

signals = frozenset(
    "TERM INT HUP QUIT KILL USR1 USR2 ABRT ALRM PIPE CONT STOP TSTP WINCH".split()  # noqa: SIM905 - reads better
)

later_help = {
    "matrix": "write the steps out one by one until then",
    "forEach": "write the steps out one by one until then",
    "for_each": "write the steps out one by one until then",
    "finally": "put the clean-up into a step of its own with `condition: always()` until then",
    "secrets": "take the value from the caller's environment with `{{env.NAME}}` until then",
    "dotenv": "set the variables in the caller's environment, or under `env:`, until then",
    "include": "copy the steps into this file until then",
    "inputs": "take it away: the step will run every time",
    "idleTimeout": "use `timeout` until then",
    "idle_timeout": "use `timeout` until then",
    "acceptance_tests": "make each test a step that needs this one until then",
    "acceptanceTests": "make each test a step that needs this one until then",
    "pre_flight_checks": "make each check a step that the others need until then",
    "preFlightChecks": "make each check a step that the others need until then",
    "step_groups": "give the steps of a group a common `resource` until then",
    "stepGroups": "give the steps of a group a common `resource` until then",
    "group": "give the steps of a group a common `resource` until then",
    "phases": "join the phases with `dependsOn` until then",
    "compensation": "undo the work in a step with `condition: failure()` until then",
    "saga": "undo the work in a step with `condition: failure()` until then",
    "agents": "make each agent a step with a `command` until then",
    "tools": "make each tool a step with a `command` until then",
    "outputSize": "take it away, or limit the output in the command itself",
    "on": "take it away: every failure is tried again",
    "error_patterns": "take it away: every failure is tried again",
    "per_phase": "take it away: attempts are counted for each step",
    "per_step": "take it away: attempts are counted for each step",
    "perStep": "take it away: attempts are counted for each step",
    "max_error_repeats": "lower `max_attempts` until then",
    "maxErrorRepeats": "lower `max_attempts` until then",
    "adaptive_scaling": "give a fixed number of steps at a time until then",
    "adaptive": "give a fixed number of steps at a time until then",
    "type: condition": "give the steps a `condition:` of their own until then",
    "type: function": "call it with `command: python -c …` until then",
}
"""What to do meanwhile, for keys that this version does not build."""
