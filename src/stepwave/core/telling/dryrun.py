"""`run --dry-run`: what would be started, in words.

No launcher pretends to run anything: what depends on outputs that do not exist yet is shown as it stands in the file.
"""

import shlex
from collections.abc import Iterator, Mapping

from stepwave.core.model import Limits, RetryOn, Stage, Step, StepType, Value
from stepwave.core.plan import Plan
from stepwave.core.running.prepare import Preparation
from stepwave.core.telling.wording import STAGE_NAMES, rule_words
from stepwave.core.text import duration, harmless, no_command, one_line, plural, size_of


def dry_run(plan: Plan, preparation: Preparation, left_out: Mapping[str, str]) -> str:
    """The whole text, newline at the end. `left_out` says of steps that would be skipped why."""
    return "\n".join(_lines(plan, preparation, left_out)) + "\n"


def _lines(plan: Plan, preparation: Preparation, left_out: Mapping[str, str]) -> Iterator[str]:
    workflow = plan.workflow
    size = f"{plural(len(plan.steps), 'step')} in {plural(len(plan.waves), 'wave')}"
    yield f"{one_line(workflow.name or workflow.id)}: {size}"
    yield f"  {' · '.join(_of_all(plan))}"
    for number, wave in enumerate(plan.waves, 1):
        yield ""
        stage = plan.steps[wave[0]].stage
        yield f"Wave {number}/{len(plan.waves)}" + ("" if stage is Stage.MAIN else f": {STAGE_NAMES[stage]}")
        for id in wave:
            if id in left_out:
                yield f"  {id}: {left_out[id]}"
            else:
                yield from _step(plan, plan.steps[id], preparation)


def _of_all(plan: Plan) -> Iterator[str]:
    workflow = plan.workflow
    busy = ", fewer on a busy machine" if workflow.adaptive else ""
    yield f"at most {plan.max_concurrency} at a time{busy}"
    yield f"on failure: {workflow.on_failure.value}"
    if workflow.timeout_s:
        yield f"timeout {duration(workflow.timeout_s)}"
    if workflow.min_free_bytes is not None:
        yield f"{size_of(workflow.min_free_bytes)} of memory left free"
    if workflow.rate_limit_s:
        host = workflow.rate_limit_host
        shared = f" of all runs on this machine with the rate limit {one_line(host)}" if host else ""
        yield f"{duration(workflow.rate_limit_s)} between starts{shared}"
    if workflow.pools:
        yield "pools " + ", ".join(f"{one_line(name)}={units}" for name, units in workflow.pools.items())
    if workflow.host_pools:
        names = ", ".join(one_line(name) for name in workflow.pools if name in workflow.host_pools)
        yield f"shared by all runs on this machine: {names}"


def _step(plan: Plan, step: Step, preparation: Preparation) -> Iterator[str]:
    yield f"  {step.id}"
    for label, text in _nature(step):
        yield f"    {label:<8} {text}"
    if step.type in (StepType.SCRIPT, StepType.FAN_OUT):
        yield from _command(step, preparation)
    for label, text in (*_facts(step), *_failing(plan, step), *_afterwards(step)):
        yield f"    {label:<8} {text}"


def _nature(step: Step) -> Iterator[tuple[str, str]]:
    """What it is, where it is no plain command."""
    if step.branch is not None:
        yield "rule", rule_words(step.branch.rule)
        yield "true", ", ".join(step.branch.on_true) or "nothing waits for that"
        yield "false", ", ".join(step.branch.on_false) or "nothing waits for that"
    if step.for_each is not None:
        yield "for each", f"of {one_line(step.for_each)}"
    if step.agent is not None:
        missing = " (no executor: the step will fail)" if step.type is StepType.AGENT else ""
        yield "agent", f"{one_line(step.agent.name)}{missing}"
        if step.agent.prompt is not None and step.agent.prompt != "\n".join(step.agent.tasks):
            yield "prompt", one_line(step.agent.prompt)
        yield from (("task", one_line(task)) for task in step.agent.tasks)
    if step.function is not None:
        params = ", ".join(f"{one_line(name)}={_json(value)}" for name, value in step.function.params.items())
        yield "calls", f"{one_line(step.function.target)}({params})"


def _json(value: Value) -> str:
    import json

    return one_line(json.dumps(value, ensure_ascii=False))


def _command(step: Step, preparation: Preparation) -> Iterator[str]:
    argv, cwd, env = preparation.preview(step)
    first, *rest = harmless(shlex.join(argv)).split("\n")
    yield f"    command  {first}"
    for line in rest:
        yield no_command(f"             {line}")
    yield f"    folder   {harmless(cwd)}"
    for name, value in env.items():
        yield (
            f"    env      {one_line(name)}: unset"
            if value is None
            else f"    env      {one_line(name)}={one_line(value)}"
        )


def _facts(step: Step) -> Iterator[tuple[str, str]]:
    if step.secrets:
        yield "secrets", ", ".join(step.secrets)
    if step.needs:
        yield "needs", ", ".join(step.needs)
    if step.condition is not None:
        yield "if", one_line(step.condition)
    if step.timeout_s:
        yield "timeout", duration(step.timeout_s)
    if step.idle_s:
        yield "silence", f"at most {duration(step.idle_s)} without output"
    if step.resources:
        yield "pools", ", ".join(f"{one_line(name)} x{units}" for name, units in step.resources)
    if limits := _limits(step.limits):
        yield "limits", ", ".join(limits)
    if step.retry.attempts > 1:
        yield "attempts", f"{step.retry.attempts}, {duration(step.retry.delay_s)} apart ({step.retry.backoff.value})"
    if flags := _flags(step):
        yield "flags", ", ".join(flags)


def _limits(limits: Limits) -> list[str]:
    named = {
        f"memory {size_of(limits.memory_bytes or 0)}": limits.memory_bytes,
        f"CPU time {limits.cpu_s}s": limits.cpu_s,
        plural(limits.open_files or 0, "open file"): limits.open_files,
        f"output {size_of(limits.output_bytes or 0)}": limits.output_bytes,
    }
    return [words for words, limit in named.items() if limit is not None]


def _failing(plan: Plan, step: Step) -> Iterator[tuple[str, str]]:
    """What counts as a failure, and what follows from one."""
    if step.success_pattern is not None:
        yield "success", f"only if its output matches `{one_line(step.success_pattern)}`"
    if step.failure_pattern is not None:
        yield "failure", f"if its output matches `{one_line(step.failure_pattern)}`"
    if step.retry.on is not None:
        yield "retried", f"after {_again(step.retry.on)}"
    if step.retry.max_repeats is not None:
        yield "gives up", f"when the same error has come back more than {_times(step.retry.max_repeats)}"
    if step.breaker in plan.workflow.breakers:
        failures = plural(plan.workflow.breakers[step.breaker], "failed attempt")
        yield "breaker", f"{one_line(step.breaker)}: opens after {failures}"


def _again(on: RetryOn) -> str:
    words = [f"exit code {code}" for code in on.exit_codes] + ["a timeout"] * on.timeout
    words += [f"output that matches `{one_line(pattern)}`" for pattern in on.patterns]
    return " or ".join(words) or "no failure"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _afterwards(step: Step) -> Iterator[tuple[str, str]]:
    for test in step.tests:
        limit = f" (timeout {duration(test.timeout_s)})" if test.timeout_s else ""
        yield "test", f"{one_line(test.id)}: {one_line(test.script)}{limit}"
    if step.undo is not None:
        argv = step.undo.argv if step.undo.script is None else (*step.undo.argv, step.undo.script)
        yield "undo", one_line(shlex.join(argv))


def _flags(step: Step) -> list[str]:
    named = {
        "runs alone": step.exclusive,
        "failure is tolerated": step.continue_on_error,
        "failure stops its wave": not step.isolate_errors,
        "shielded from its wave": step.shielded,
        f"at most {step.max_concurrency} of its wave at once": step.max_concurrency is not None,
        f"exit codes {', '.join(map(str, step.allowed_exit_codes))} are fine": step.allowed_exit_codes != (0,),
    }
    return [name for name, is_set in named.items() if is_set]
