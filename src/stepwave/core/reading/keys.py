"""Which keys a workflow file may have, by whatever name, and what becomes of each.

One table per kind of mapping. A key leads to a *canonical* name, the only one that `build` knows; many keys lead to
one name because three families of files, and several near ones, are read. `fields.gather` walks a mapping with its
table and reports what is not in it.
"""

from collections.abc import Mapping
from typing import NamedTuple

from stepwave.core.model import nothing


class Keys(NamedTuple):
    """One kind of mapping.

    `what` names it in sentences. `leads`: key → canonical name. `inside`: keys whose value, where it is a mapping,
    is read with a table of its own. `passive`: allowed, of no effect.
    """

    what: str
    leads: Mapping[str, str]
    inside: Mapping[str, "Keys"] = nothing
    passive: frozenset[str] = frozenset()

    @property
    def meant(self) -> tuple[str, ...]:
        """The keys that a misspelt one may stand for."""
        return (*self.leads, *self.inside)


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
    inside={
        "on": Keys(
            "`retry.on`",
            _leads({"on.exitCodes": "= exitCodes exit_codes", "on.timeouts": "= timeout", "on.match": "= match"}),
        )
    },
)

circuit_breaker = Keys(
    "`circuit_breaker`",
    _leads(
        {
            "attempts": "= max_attempts maxAttempts",
            "breaker.perStep": "= per_step perStep",
            "breaker.maxErrorRepeats": "= max_error_repeats maxErrorRepeats",
            "breaker.cooldown": "= cooldown_seconds",
            "breaker.perPhase": "= per_phase perPhase",
            "breaker.patterns": "= error_patterns errorPatterns",
            "breaker.enabled": "= enabled",
            # What an agent's own repair loop watches for: nothing that a runner of commands could act on.
            "breaker.idle": "= oscillation_threshold oscillation_window escalation_strategy max_fix_attempts",
        }
    ),
)

_files = {
    "files.scope": "= files_scope filesScope",
    "files.create": "= files_create filesCreate",
    "files.modify": "= files_modify filesModify",
}

file_scope = Keys(
    "`file_scope`",
    {"modify": "files.modify", "create": "files.create", "forbidden_paths": "files.forbidden"},
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
            "limits.outputSize": "= outputSize output_size",
        }
    ),
)

secret = Keys("a secret", {name: name for name in ("env", "file", "command")})

rule = Keys(
    "a condition",
    _leads({"operator": "type", "left": "", "right": "", "conditions": ""}),
    passive=_set("description name notes comment"),
)
"""What a condition step compares: one node of its tree."""

kill = Keys("`kill`", _leads({"kill.signal": "= signal", "kill.grace": "= grace"}))

_work = {
    "command": "cmd",
    "args": "",
    "run": "script",
    "shell": "",
    "cwd": _cwd,
    "env": "",
    "stdin": "",
    "idleTimeout": "idle_timeout",
    "allowedExitCodes": _exit_codes,
    "memoryLimitMb": _memory,
    "agent": "",
    "tool": "",
    "tasks": "",
    "prompt": "",
    "parameters": "",
    "expression": "",
    "onTrue": "on_true",
    "onFalse": "on_false",
}

config = Keys(
    "`config`",
    _leads(
        _work
        | {
            "timeout": _timeout,
            "lenient": "= continueOnError continue_on_error",
            "provides": "outputs",
            "keepOutputs": "keep_outputs",
        }
    ),
    passive=_set("maxRounds description"),
)

step = Keys(
    "a step",
    _leads(
        _work
        | _files
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
            "tests": "= acceptance_tests acceptanceTests",
            "compensation": "",
            "dotenv": "",
            "matrix": "",
            "forEach": "for_each",
            "maxConcurrency": "max_concurrency",
            "group": "",
            "inputs": "",
            "outputs": "",
            "provides": "",
            "keepOutputs": "keep_outputs",
            "secrets": "",
            "function": "",
            "module": "",
            "action": "",
            "params": "",
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
        "file_scope": file_scope,
    },
    passive=_set(
        "output consumes tags labels ui_hints metadata owner author notes comment status"
        " authority capability capabilities ccpm_issue openspec_change gate kind estimated_hours $schema doc_id"
    ),
)

_own_config = {key: keys for key, keys in step.inside.items() if key != "config"}

function_step = step._replace(
    leads={**step.leads, "config": "params", "parameters": "params"},
    inside=_own_config,
)
"""A step that calls a function: `params` or `config` holds what the function is given, under names of its own."""

plugin_step = step._replace(leads={**step.leads, "config": "config"}, inside=_own_config)
"""A step of a type that a plugin provides, and only the plugin knows what `config` holds."""

profile = Keys(
    "a profile",
    _leads(
        {
            "command": "cmd",
            "args": "",
            "env": "",
            "stdin": "",
            "cwd": _cwd,
            "timeout": _timeout,
            "successPattern": "success_pattern",
            "failurePattern": "failure_pattern",
        }
    ),
    passive=_set("name description model capability capabilities tags notes comment metadata doc_id"),
)
"""What an agent or a tool is carried out by."""

phase = Keys(
    "a phase",
    _leads(
        {
            "id": "",
            "name": "title",
            "description": "",
            "steps": "tasks",
            "needs": "= depends_on dependsOn dependencies",
            "checkpoint": "",
            "resumeStrategy": "= resume_strategy resumeStrategy",
        }
    ),
    passive=_set("tags labels metadata owner notes comment status estimated_duration"),
)

step_group = Keys(
    "a step group",
    _leads(
        {
            "id": "",
            "description": "name",
            "steps": "",
            "execute": "",
            "maxConcurrency": "= max_workers maxWorkers max_concurrency maxConcurrency max_parallel",
        }
    ),
)

include = Keys("an entry of `include`", {"file": "file", "as": "as"})

# --- the workflow --------------------------------------------------------------------------------------------------

_width = "= defaultMaxConcurrency default_max_concurrency maxConcurrency max_concurrency max_workers max_parallel"

pool = Keys("a pool", {"limit": "limit", "scope": "scope"})

_rate = {"rateLimit": "= delay", "rateLimit.scope": "= scope", "rateLimit.name": "= name"}

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
    inside={"rateLimitDelay": Keys("`rateLimitDelay`", _leads(_rate))},
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
    inside={"rate_limit_delay": Keys("`rate_limit_delay`", _leads(_rate))},
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

saga = Keys(
    "`saga`",
    {"timeout": "timeout", "enabled": "saga.enabled", "rollback_order": "saga.order", "steps": "saga.steps"},
)

compensation = Keys(
    "`compensation`",
    {name: name for name in ("enabled", "command", "args", "timeout", "retries", "action", "parameters")},
)

error_handling = Keys(
    "`error_handling`",
    {"strategy": "onFailureStrategy"},
    inside={"on_failure": on_failure_action},
)

workflow = Keys(
    "a workflow",
    _leads(
        _files
        | {
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
            "phases": "",
            "stepGroups": "step_groups",
            "finally": "",
            "include": "",
            "matrix": "",
            "workflows": "",
            "needs": "= depends_on dependsOn dependencies",
            "agent": "",
            "tool": "",
            "prompt": "",
            "agents": "",
            "tools": "",
            "tests": "= acceptance_tests acceptanceTests",
            "checks": "= pre_flight_checks preFlightChecks",
            "compensation": "",
            "dotenv": "",
            "secrets": "",
            "parallelOk": "= parallel_ok parallelOk",
            "conflictGroup": "= conflict_group conflictGroup",
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
        "file_scope": file_scope,
        "retry": retry,
        "circuit_breaker": circuit_breaker,
        "circuitBreaker": circuit_breaker,
        "error_handling": error_handling,
    },
    passive=_set(
        "gate ccpm_issue openspec_change kind priority owner author authors tags labels capability capabilities"
        " doc_id $schema created created_at updated_at notes comment license authority ground_truth downstream_enables"
        " duration_days estimated_duration status"
    ),
)

passed_on = workflow.passive.union(
    _set(
        "files_scope filesScope files_create filesCreate files_modify filesModify file_scope parallel_ok parallelOk"
        " conflict_group conflictGroup"
    )
) - {"$schema"}
"""What goes into the metadata of a workflow, whether it means something here or not."""

step_lists = ("steps", "tasks", "nodes", "execution_steps", "jobs")
"""Keys that may hold the steps. `tasks` does only when its items are mappings: texts are for an agent to read."""

workstream_marks = frozenset({"tool", "tasks", "files_scope", "filesScope", "file_scope", "steps", "phases"})
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

signals = frozenset(
    "TERM INT HUP QUIT KILL USR1 USR2 ABRT ALRM PIPE CONT STOP TSTP WINCH".split()  # noqa: SIM905 - reads better
)
