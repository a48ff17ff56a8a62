"""`run --dry-run`: what would be started, in words.

No launcher pretends to run anything: what depends on outputs that do not exist yet is shown as it stands in the file.
"""

import shlex
from collections.abc import Iterator

from stepwave.core.model import Step, StepType
from stepwave.core.plan import Plan
from stepwave.core.prepare import Preparation
from stepwave.core.text import duration, harmless, no_command, one_line, plural


def dry_run(plan: Plan, preparation: Preparation, deselected: frozenset[str]) -> str:
    """The whole text, newline at the end."""
    return "\n".join(_lines(plan, preparation, deselected)) + "\n"


def _lines(plan: Plan, preparation: Preparation, deselected: frozenset[str]) -> Iterator[str]:
    workflow = plan.workflow
    size = f"{plural(len(plan.steps), 'step')} in {plural(len(plan.waves), 'wave')}"
    yield f"{one_line(workflow.name or workflow.id)}: {size}"
    facts = [f"at most {plan.max_concurrency} at a time", f"on failure: {workflow.on_failure.value}"]
    if workflow.timeout_s:
        facts.append(f"timeout {duration(workflow.timeout_s)}")
    if workflow.pools:
        facts.append("pools " + ", ".join(f"{one_line(name)}={units}" for name, units in workflow.pools.items()))
    yield f"  {' · '.join(facts)}"
    for number, wave in enumerate(plan.waves, 1):
        yield ""
        yield f"Wave {number}/{len(plan.waves)}"
        for id in wave:
            if id in deselected:
                yield f"  {id}: not selected"
            else:
                yield from _step(plan.steps[id], preparation)


def _step(step: Step, preparation: Preparation) -> Iterator[str]:
    yield f"  {step.id}"
    if step.type is StepType.AGENT:
        yield f"    agent    {one_line(step.agent)} (no executor: the step will fail)"
    elif step.type is StepType.SCRIPT:
        yield from _command(step, preparation)
    for label, text in _facts(step):
        yield f"    {label:<8} {text}"


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
    if step.needs:
        yield "needs", ", ".join(step.needs)
    if step.condition is not None:
        yield "if", one_line(step.condition)
    if step.timeout_s:
        yield "timeout", duration(step.timeout_s)
    if step.resources:
        yield "pools", ", ".join(f"{one_line(name)} x{units}" for name, units in step.resources)
    if step.retry.attempts > 1:
        yield "attempts", f"{step.retry.attempts}, {duration(step.retry.delay_s)} apart ({step.retry.backoff.value})"
    if flags := _flags(step):
        yield "flags", ", ".join(flags)


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
