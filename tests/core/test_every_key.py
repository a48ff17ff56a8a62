"""No key is accepted and ignored: each spelling of each key changes the workflow that comes out, or is refused.

`examples` has one value for every canonical name of every table in `core/reading/keys.py`. A workflow is built with the
key and without it; what comes out must differ. A new key without an example fails `test_every_key_has_an_example`.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from stepwave.core.building.build import Inputs, build
from stepwave.core.model import nothing
from stepwave.core.reading import keys
from stepwave.core.reading.keys import Keys
from stepwave.core.reading.parse import parse


class Example(NamedTuple):
    """A value, and what stands beside the key in the same mapping, with it and without it.

    `by_key` holds values for single spellings. `findings`: it
    is the findings that differ, because the key can only be told of.
    """

    value: Any
    beside: Mapping[str, Any] = nothing
    by_key: Mapping[str, Any] = nothing
    findings: bool = False


def ex(value: Any, **beside: Any) -> Example:
    return Example(value, beside)


_agent = {"run": None, "agent": "someone"}
_condition = {"run": None, "type": "condition", "expression": "true", "onTrue": ["b"]}
_function = {"run": None, "function": "json:dumps", "params": {"obj": 1}}
_command = {"run": None, "command": "echo"}
_tries = {"attempts": 9}

_work = {
    "command": ex("false", run=None),
    "args": ex(["x"], **_command),
    "run": ex("false"),
    "shell": ex("bash"),
    "cwd": ex("sub"),
    "env": ex({"A": "1"}),
    "stdin": ex("text"),
    "idleTimeout": ex("9s"),
    "allowedExitCodes": ex([3]),
    "memoryLimitMb": ex(77),
    "agent": ex("another", **_agent),
    "tool": ex("another", run=None),
    "tasks": ex(["do it"], **_agent),
    "prompt": ex("do it", **_agent),
    "parameters": ex({"depth": 3}, **_agent),
    "expression": ex("false", **_condition),
    "onTrue": ex(["b"], **{**_condition, "onTrue": None, "onFalse": ["c"]}),
    "onFalse": ex(["c"], **_condition),
    "timeout": Example("9s", by_key={"timeoutMs": 9, "timeout_ms": 9}),
    "provides": ex(["made/file"]),
    "keepOutputs": ex(True, outputs=["made/file"]),
}
_retry = {
    "attempts": ex(7),
    "retry.enabled": ex(False, **_tries),
    "retry.delay": ex("7s", **_tries),
    "retry.backoff": ex("linear", **_tries),
    "retry.maxDelay": ex("7s", **_tries),
    "retry.jitter": ex(True, **_tries),
}
_breaker = {
    "attempts": ex(7),
    "breaker.perStep": ex(False, max_attempts=7),
    "breaker.maxErrorRepeats": ex(1, max_attempts=7),
    "breaker.cooldown": ex(7, max_attempts=7),
    "breaker.perPhase": ex(True, max_attempts=7),
    "breaker.patterns": ex(["E[0-9]+"], max_attempts=7),
    "breaker.enabled": ex(False, max_attempts=7),
    "breaker.idle": Example(2, {"max_attempts": 7}, findings=True),
}
_limits = {name: ex(value) for name, value in (
    ("limits.memory", "77MB"), ("limits.cpuTime", "77s"), ("limits.openFiles", 77), ("limits.outputSize", "77MB")
)}  # fmt: skip
_files = {name: Example(["zone/**"], findings=True) for name in ("files.scope", "files.create", "files.modify")}
"""Step b claims a part of it."""
_profile = {
    "command": ex("other"),
    "args": ex(["x"], command="tool"),
    "env": ex({"A": "1"}, command="tool"),
    "stdin": ex("text", command="tool"),
    "cwd": ex("sub", command="tool"),
    "timeout": Example("9s", {"command": "tool"}, by_key={"timeoutMs": 9, "timeout_ms": 9}),
    "successPattern": ex("ok", command="tool"),
    "failurePattern": ex("bad", command="tool"),
}
_parallel_step = {
    "parallel": ex(False),
    "maxConcurrency": ex(1),
    "resource": ex("cpu"),
    "isolateErrors": ex(False),
}
_step = {
    **_work,
    **_files,
    "id": ex("other"),
    "name": ex("Other"),
    "description": ex("What it does"),
    "type": ex("noop"),
    "needs": ex(["b"]),
    "condition": ex("1 == 2"),
    "continueOnError": ex(True),
    "critical": ex(False),
    "onFailure": ex("skip_dependents"),
    "onFail": ex("skip"),
    "parallel": ex(False),
    "parallelOk": ex(False),
    "resource": ex("cpu"),
    "conflictGroup": ex("g"),
    "retries": ex(2),
    "retryCount": ex(2),
    "retry.delay": ex("2s", retries=3),
    "priority": ex(5),
    "estimate": ex("5m"),
    "tests": ex(["test -e x"]),
    "compensation": ex({"command": "undo it"}),
    "dotenv": Example(["missing.env"], findings=True),
    "secrets": ex(["TOKEN"]),
    "matrix": ex({"os": ["a", "b"]}),
    "forEach": ex(["a", "b"]),
    "maxConcurrency": ex(1, forEach=["a", "b"]),
    "group": ex("some"),
    "inputs": ex(["src/**"]),
    "outputs": ex(["made/file"]),
    "function": ex("json:loads", **_function),
    "module": ex("json", run=None, action="loads"),
    "action": ex("loads", run=None, module="json"),
    "params": ex({"obj": 2}, **{**_function, "params": None}),
    "config": ex({"obj": 2}, **{**_function, "params": None}),
}
_whole = {
    **{name: ex(["src/**"]) for name in _files},
    "id": ex("other"),
    "name": ex("Other"),
    "version": ex("2.0.0"),
    "description": ex("What it does"),
    "dialect": ex("snake"),
    "timeout": Example("9s", by_key={"timeoutMs": 9, "timeout_ms": 9}),
    "env": ex({"A": "1"}),
    "variables": ex({"a": 1}),
    "maxConcurrency": ex(7),
    "pools": ex({"cpu": 7}),
    "parallel": ex(False),
    "onFailure": ex("continue"),
    "continueOnError": ex(True),
    "retries": ex(7),
    "defaults.timeout": ex("7s"),
    "defaults.cwd": ex("sub"),
    "steps": ex([{"id": "z", "run": "true"}], steps=None),
    "phases": ex([{"id": "p", "steps": [{"id": "z", "run": "true"}]}]),
    "stepGroups": ex([{"id": "g", "steps": ["a", "b"]}]),
    "finally": ex([{"id": "z", "run": "true"}]),
    "include": ex(["lib.json"]),
    "matrix": Example({"os": ["a"]}, findings=True),
    "workflows": Example({"one": {"steps": [{"id": "z", "run": "true"}]}}, {"steps": None}),
    "needs": Example(["elsewhere"], findings=True),
    "agent": ex("someone", steps=None),
    "tool": ex("someone", steps=None),
    "prompt": ex("do it", steps=None, agent="someone"),
    "agents": ex({"someone": "cat"}),
    "tools": ex({"someone": "cat"}),
    "tests": ex(["test -e x"]),
    "checks": ex(["test -e x"]),
    "compensation": Example({"command": "x"}, findings=True),
    "dotenv": Example(["missing.env"], findings=True),
    "secrets": ex(["TOKEN"]),
    "parallelOk": ex(False),
    "conflictGroup": ex("g"),
    "metadata": ex({"a": 1}),
}
_defaults = {
    "defaults.timeout": Example("9s", by_key={"timeoutMs": 9, "timeout_ms": 9}),
    "retries": ex(2),
    "retry.delay": ex("2s", retries=3),
    "defaults.cwd": ex("sub"),
    "defaults.env": ex({"A": "1"}),
    "defaults.shell": ex("bash"),
    "defaults.isolateErrors": ex(False),
    "maxConcurrency": ex(7),
}

_shared_rate = {
    "rateLimit": ex(7),
    "rateLimit.scope": ex("host", delay=7),
    "rateLimit.name": ex("api", delay=7, scope="host"),
}

examples: dict[str, dict[str, Example]] = {
    "step": _step,
    "config": {**_work, "lenient": ex(True, **_condition)},
    "step.parallel": _parallel_step,
    "step.retry": _retry,
    "step.retry.on": {
        "on.exitCodes": ex([7]),
        "on.timeouts": ex(True),
        "on.match": ex(["E[0-9]+"]),
    },
    "step.circuit_breaker": _breaker,
    "step.limits": _limits,
    "step.kill": {"kill.signal": ex("INT"), "kill.grace": ex("9s")},
    "step.file_scope": {
        "files.modify": Example(["zone/**"], findings=True),
        "files.create": Example(["zone/**"], findings=True),
        "files.forbidden": Example(["x/**"], {"modify": ["x/y"]}, findings=True),
    },
    "workflow": _whole,
    "workflow.parallel": {
        "parallel": ex(False),
        "maxConcurrency": ex(7),
        "pools": ex({"gpu": 7}),
        "scheduling": ex("waves"),
        "defaults.isolateErrors": ex(False),
        "rateLimit": ex(7),
        "adaptive": ex(True),
    },
    "workflow.execution": {
        "parallel": ex(False),
        "maxConcurrency": ex(7),
        "defaults.timeout": ex(7),
        "rateLimit": ex(7),
        "adaptive": ex(True),
        "failFast": ex(False),
    },
    "workflow.parallel.rateLimitDelay": _shared_rate,
    "workflow.execution.rate_limit_delay": _shared_rate,
    "workflow.parallel.resources.gpu": {"limit": ex(7), "scope": ex("host", limit=3)},
    "workflow.defaults": _defaults,
    "workflow.globals": {**_defaults, "env": ex({"A": "1"})},
    "workflow.retry": _retry,
    "workflow.circuit_breaker": _breaker,
    "workflow.saga": {
        "timeout": ex(9),
        "saga.enabled": ex(False),
        "saga.order": ex("parallel"),
        "saga.steps": Example([{"id": "a"}], findings=True),
    },
    "agents.someone": _profile,
    "secrets.TOKEN": {"env": ex("OTHER"), "file": ex("token.txt"), "command": ex("pass show it")},
    "phase": {
        "id": ex("other"),
        "name": ex("Other"),
        "description": ex("What"),
        "steps": ex([{"id": "y", "run": "true"}]),
        "needs": ex([]),
        "checkpoint": ex(True),
        "resumeStrategy": ex("restart"),
    },
    "step_group": {
        "id": ex("other"),
        "description": ex("What"),
        "steps": ex(["a", "b"]),
        "execute": ex("sequential"),
        "maxConcurrency": ex(1),
    },
    "compensation": {
        "enabled": ex(False, command="undo"),
        "command": ex("undo it", command="undo"),
        "args": ex(["x"], command="undo"),
        "timeout": ex(9, command="undo"),
        "retries": ex(3, command="undo"),
        "action": Example("restore", findings=True),
        "parameters": Example({"a": 1}, {"command": "undo"}, findings=True),
    },
}
tables: dict[str, Keys] = {
    "step": keys.step,
    "config": keys.config,
    "step.parallel": keys.step_parallel,
    "step.retry": keys.retry,
    "step.retry.on": keys.retry.inside["on"],
    "step.circuit_breaker": keys.circuit_breaker,
    "step.limits": keys.limits,
    "step.kill": keys.kill,
    "step.file_scope": keys.file_scope,
    "workflow": keys.workflow,
    "workflow.parallel": keys.parallel,
    "workflow.execution": keys.execution,
    "workflow.parallel.rateLimitDelay": keys.parallel.inside["rateLimitDelay"],
    "workflow.execution.rate_limit_delay": keys.execution.inside["rate_limit_delay"],
    "workflow.parallel.resources.gpu": keys.pool,
    "workflow.defaults": keys.defaults,
    "workflow.globals": keys.plan_globals,
    "workflow.retry": keys.retry,
    "workflow.circuit_breaker": keys.circuit_breaker,
    "workflow.saga": keys.saga,
    "agents.someone": keys.profile,
    "secrets.TOKEN": keys.secret,
    "phase": keys.phase,
    "step_group": keys.step_group,
    "compensation": keys.compensation,
}
_silent = {("phase", "name"), ("phase", "description"), ("step_group", "description")}
"""What only people read, and no document shows."""


def _workflow(place: str, inner: dict[str, Any]) -> dict[str, Any]:  # noqa: C901, PLR0912 - one case for each place
    """A whole file with this mapping at its place; nulls are keys that are not there."""
    inner = {key: value for key, value in inner.items() if value is not None}
    step: dict[str, Any] = {"id": "a", "run": "true"}
    whole: dict[str, Any] = {"name": "n", "resources": {"cpu": 9}}
    rest = [{"id": "b", "run": "true", "files_scope": ["zone/b"]}, {"id": "c", "run": "true"}]
    match place:
        case "step":
            step = inner
            if "group" in inner:
                whole["step_groups"] = [{"id": "some", "steps": []}]
        case "config":
            step = {"id": "a", "config": inner}
            if "type" in inner:
                step["type"] = inner.pop("type")
        case "step.retry.on":
            step["retry"] = {"attempts": 9, "on": inner}
        case "agents.someone":
            step = {"id": "a", "agent": "someone"}
            whole["agents"] = {"someone": inner}
        case "secrets.TOKEN":
            whole["secrets"] = {"TOKEN": inner}
        case "compensation":
            step["compensation"] = inner
        case "phase":
            first = {"id": "o", "steps": [{"id": "x", "run": "true"}]}
            return {"name": "n", "phases": [first, inner]}
        case "step_group":
            whole["step_groups"] = [inner]
        case "workflow":
            return inner
        case "workflow.parallel":
            whole = {"name": "n", "parallel": inner}
        case "workflow.parallel.resources.gpu":
            whole = {"name": "n", "parallel": {"resources": {"gpu": inner or 2}}}
        case "workflow.parallel.rateLimitDelay":
            whole = {"name": "n", "parallel": {"rateLimitDelay": inner or None}}
        case "workflow.execution.rate_limit_delay":
            whole = {"name": "n", "execution": {"rate_limit_delay": inner or None}}
        case _ if place.startswith("step."):
            step[place.removeprefix("step.")] = inner
        case _:
            whole[place.removeprefix("workflow.")] = inner
    return {**whole, "steps": [step, *rest]}


_bases: dict[str, dict[str, Any]] = {
    "step": {"id": "a", "run": "true"},
    "config": {"run": "true"},
    "workflow": {"name": "n", "steps": [{"id": "a", "run": "true"}, {"id": "b", "agent": "someone"}]},
    "phase": {"id": "p", "steps": [{"id": "z", "run": "true"}]},
    "step_group": {"id": "g", "steps": ["a", "b", "c"]},
    "agents.someone": {"command": "tool"},
}


def _made(whole: dict[str, Any]) -> tuple[str, set[str], bool]:
    document, found = parse(json.dumps(whole).encode(), "test.json")
    assert document is not None, found
    lib, _ = parse(b'{"steps": [{"id": "x", "run": "true"}]}', "lib.json")
    assert lib is not None
    workflow, told = build(document, Inputs(folder="/", documents={"lib.json": lib}))
    return repr(workflow), {finding.code + finding.message for finding in told}, workflow is not None


def _cases() -> list[tuple[str, str, str]]:
    return [(place, key, name) for place, table in tables.items() for key, name in table.leads.items()]


def test_every_key_has_an_example() -> None:
    missing = {(place, name) for place, _, name in _cases() if name not in examples[place]}
    assert not missing


@pytest.mark.parametrize(("place", "key", "name"), _cases())
def test_no_key_is_accepted_and_ignored(place: str, key: str, name: str) -> None:
    example = examples[place][name]
    around = {**_bases.get(place, {}), **example.beside}
    same = {other for other, lead in tables[place].leads.items() if lead == name}
    without = {other: value for other, value in around.items() if other not in same or name in ("id",)}
    value = example.by_key.get(key, example.value)
    with_key = {**{o: v for o, v in without.items() if o not in same}, key: value}
    workflow, findings, _ = _made(_workflow(place, with_key))
    before, told, _ = _made(_workflow(place, without))
    if (place, name) in _silent:
        return
    if example.findings:
        assert findings != told, f"nobody is told of `{key}`"
    else:
        assert workflow != "None", findings
        assert workflow != before, f"`{key}` changes nothing"
